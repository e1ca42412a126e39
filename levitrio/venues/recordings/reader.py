"""Recordings: files of `<local ns> <JSON>` lines, plain or gzip, read line by line.

The JSON is a frame of combined streams. REST answers between them (a depth snapshot) have no
stream and are passed over. A line that does not parse is refused with its file and number, and
the reading goes on: one torn line must not cost the rest of a day.
"""

import gzip
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import msgspec

from levitrio.errors import UsageError


class TapeEvent(msgspec.Struct, frozen=True, gc=False):
    """One message of one stream. A Struct, not attrs: one is made per frame on the hot path."""

    time_ns: int
    """What paces it: market time of a generated tape, local time of a recording."""
    stream: str
    """The venue's name, such as `btcusdt@trade`."""
    data: bytes
    """The payload, JSON, without the envelope of combined streams."""

    def combined(self) -> bytes:
        """The payload in the envelope of combined streams."""
        return b'{"stream":"%b","data":%b}' % (self.stream.encode(), self.data)


MAX_LINE = 4 * 1024 * 1024
"""Bytes. A snapshot of 5,000 levels has 300 kB; a line without end must not fill the memory."""

_GZIP_MAGIC = b"\x1f\x8b"


class _Frame(msgspec.Struct, gc=False):
    stream: str | None = None
    data: msgspec.Raw = msgspec.Raw()


_decode_frame = msgspec.json.Decoder(_Frame).decode


@attrs.define(eq=False)
class RecordingReader:
    """One recording file; each iteration over it reads it from the start."""

    path: Path
    on_refused: Callable[[str], None]
    """Told `file:line: expected, came` for each refused line."""

    def __attrs_post_init__(self) -> None:
        # A pipe or a device would block the whole run at the first read.
        if not self.path.is_file():
            raise UsageError(f"{self.path}: expected a recording file, found none")

    def __iter__(self) -> Iterator[TapeEvent]:
        """The frames in file order. Raises UsageError when the file cannot be opened."""
        number = 0
        try:
            with self._open() as file:
                while line := file.readline(MAX_LINE):
                    number += 1
                    event = self._event(line, number)
                    if event is not None:
                        yield event
        except (OSError, EOFError, zlib.error) as error:
            # What was read before is good; the rest of this file is lost, and said so.
            self.on_refused(f"{self.path}:{number + 1}: expected more of the file, got: {error}")

    def _open(self) -> "gzip.GzipFile":
        try:
            with self.path.open("rb") as file:
                is_gzip = file.read(2) == _GZIP_MAGIC
            return gzip.open(self.path) if is_gzip else self.path.open("rb")  # type: ignore[return-value]
        except OSError as error:
            raise UsageError(f"{self.path}: expected a readable recording, got: {error}") from None

    def _event(self, line: bytes, number: int) -> TapeEvent | None:
        time, _, text = line.partition(b" ")
        try:
            if not time.isdigit() or len(time) > 19:
                raise ValueError("no local time in ns before the JSON")
            frame = _decode_frame(text)
        except ValueError as error:
            if line.strip():
                reason = f"{error}, in {line[:60]!r}"
                self.on_refused(
                    f"{self.path}:{number}: expected `<local ns> <JSON frame>`, got: {reason}"
                )
            return None
        if frame.stream is None:
            return None
        return TapeEvent(int(time), frame.stream, bytes(frame.data))
