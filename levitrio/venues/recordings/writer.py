"""Writes what a feed receives in the recording format, as it came.

A line is `<local ns> <frame>`; a snapshot of an order book is a line like any other. The feed
must never wait for a disk, so frames go into a bounded buffer that one task empties, off the
loop. A disk that cannot follow costs frames, and each of them is counted.
"""

import gzip
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import attrs
import trio

from levitrio.errors import UsageError

MAX_BUFFERED = 64 << 20
"""Bytes: half a minute of a thousand busy symbols."""

WRITE_PERIOD = 0.5
"""Seconds between two writes: what a power cut may cost."""

Offload = Callable[[Callable[[], None]], Awaitable[None]]
"""Runs blocking work off the loop, to its end."""


async def in_a_thread(work: Callable[[], None]) -> None:
    """The `Offload` of real runs; not abandoned when cancelled, so no write outlives the file."""
    await trio.to_thread.run_sync(work)


@attrs.frozen(kw_only=True)
class RecorderStatistics:
    """What was written so far."""

    frames: int
    bytes: int
    """Before compression."""
    dropped: int
    """Frames there was no room for."""


class RecordingWriter:
    """One recording; a context manager, because the file must be closed and what waits written.

    Raises UsageError when the file exists already or cannot be made: a recording is not
    repeatable, so none is ever overwritten.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock_ns: Callable[[], int],
        offload: Offload = in_a_thread,
    ) -> None:
        """A name that ends in `.gz` is compressed. `clock_ns` is local time, ns since 1970."""
        self._clock_ns = clock_ns
        self._offload = offload
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._frames = self._bytes = self._dropped = 0
        try:
            self._file: IO[bytes] = path.open("xb")
        except FileExistsError:
            raise UsageError(f"{path}: expected a new file, it is there already") from None
        except OSError as error:
            raise UsageError(f"{path}: expected a file to write, got: {error}") from None
        self._stream: IO[bytes] | gzip.GzipFile = self._file
        if path.suffix == ".gz":
            self._stream = gzip.GzipFile(fileobj=self._file, mode="wb", compresslevel=6)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def take(self, frame: str | bytes) -> None:
        """Keep a frame, with the time of now. Never blocks: the feed's `tap`."""
        text = frame.encode("utf-8", "surrogatepass") if isinstance(frame, str) else bytes(frame)
        # A line break inside a frame is white space to JSON, and the end of a line to us.
        line = b"%d %b\n" % (self._clock_ns(), text.replace(b"\r", b" ").replace(b"\n", b" "))
        if self._waiting_bytes + len(line) > MAX_BUFFERED:
            self._dropped += 1
            return
        self._waiting.append(line)
        self._waiting_bytes += len(line)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write until cancelled; what still waits then is written by `close`. OSError ends it."""
        task_status.started()
        due = trio.current_time()
        while True:
            due = max(due, trio.current_time()) + WRITE_PERIOD
            await trio.sleep_until(due)
            batch = self._take_batch()
            if batch:
                await self._offload(lambda: self._write(batch))  # noqa: B023  awaited right here

    def close(self) -> None:
        """Write what waits, and close the file; idempotent. Blocks: call it after `run`."""
        if self._file.closed:
            return
        try:
            self._write(self._take_batch())
            if self._stream is not self._file:
                self._stream.close()
        finally:
            self._file.close()

    def statistics(self) -> RecorderStatistics:
        """A frozen view, cheap."""
        return RecorderStatistics(frames=self._frames, bytes=self._bytes, dropped=self._dropped)

    def _take_batch(self) -> list[bytes]:
        batch, self._waiting = self._waiting, []
        self._waiting_bytes = 0
        return batch

    def _write(self, batch: list[bytes]) -> None:
        data = b"".join(batch)
        self._stream.write(data)
        self._stream.flush()
        self._frames += len(batch)
        self._bytes += len(data)
