"""Writes what a feed receives into a recording, frame by frame as it came.

A snapshot of an order book is a line like any other. The feed must never wait for a disk, so
frames go into a bounded buffer that one task empties, off the loop. A disk that cannot follow
costs frames, and each of them is counted.
"""

import gzip
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import attrs
import trio

from levitrio.errors import UsageError
from levitrio.venues.recordings.frames import format_line
from levitrio.venues.recordings.line_file import MAX_LINE

MAX_BUFFERED = 64 << 20
"""Bytes: half a minute of a thousand busy symbols."""

WRITE_PERIOD = 0.5
"""Seconds between two writes: what a power cut may cost."""

Offload = Callable[[Callable[[], None]], Awaitable[None]]
"""Runs blocking work off the loop, to its end."""


async def in_a_thread(work: Callable[[], None]) -> None:
    """The `Offload` of real runs; cancellation waits for it, so no write outlives the file."""
    await trio.to_thread.run_sync(work)


@attrs.frozen(kw_only=True)
class RecorderStatistics:
    """How much was written so far, and how much was lost."""

    frames: int
    bytes: int
    """Before compression."""
    dropped: int
    """Frames that did not fit into the buffer, or are longer than a line may be."""


class RecordingWriter:
    """Writes one recording; a context manager that writes the buffer and closes the file.

    Raises UsageError when the file exists already or cannot be created: a recording cannot be
    made again, so none is ever overwritten.
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
        self._buffer: list[bytes] = []
        self._buffered_bytes = 0
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
        """Buffer a frame with the present time. Never blocks: it is the feed's `tap`."""
        text = frame.encode("utf-8", "surrogatepass") if isinstance(frame, str) else bytes(frame)
        line = format_line(self._clock_ns(), text)
        # A longer line is refused by every reader.
        if len(line) > MAX_LINE or self._buffered_bytes + len(line) > MAX_BUFFERED:
            self._dropped += 1
            return
        self._buffer.append(line)
        self._buffered_bytes += len(line)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write until cancelled; `close` writes the rest of the buffer. OSError ends it."""
        task_status.started()
        due = trio.current_time()
        while True:
            due = max(due, trio.current_time()) + WRITE_PERIOD
            await trio.sleep_until(due)
            batch = self._take_batch()
            if batch:
                await self._offload(lambda: self._write(batch))  # noqa: B023  awaited before the next batch

    def close(self) -> None:
        """Write the buffer and close the file; idempotent. Blocks: call it after `run`."""
        if self._file.closed:
            return
        try:
            self._write(self._take_batch())
            if self._stream is not self._file:
                self._stream.close()
        finally:
            self._file.close()

    def statistics(self) -> RecorderStatistics:
        """How much was written so far; cheap."""
        return RecorderStatistics(frames=self._frames, bytes=self._bytes, dropped=self._dropped)

    def _take_batch(self) -> list[bytes]:
        batch, self._buffer = self._buffer, []
        self._buffered_bytes = 0
        return batch

    def _write(self, batch: list[bytes]) -> None:
        data = b"".join(batch)
        self._stream.write(data)
        self._stream.flush()
        self._frames += len(batch)
        self._bytes += len(data)
