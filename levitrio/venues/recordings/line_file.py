"""Reads files of lines, plain or gzip, in blocks.

A loop over blocks costs a fraction of a loop over the lines of a file object. A torn tail, a
line without end and a failed read cost what they hide and nothing else: each goes to
`on_refused`, and what was read before stays.
"""

import gzip
import zlib
from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import Path

import attrs

from levitrio.errors import UsageError
from levitrio.regular_file import NotARegularFile, open_regular, reason_of

BLOCK = 1 << 18
"""Bytes: fits the processor's cache, and memory stays flat."""

MAX_LINE = 4 * 1024 * 1024
"""Bytes. A snapshot of 5,000 levels has 300 kB; a line without end must not fill the memory."""

_GZIP_MAGIC = b"\x1f\x8b"


@attrs.define(eq=False)
class LineFile:
    """One file; each iteration of `blocks` reads it from the start.

    Raises UsageError, at once or at the first read, when the file cannot be opened or is not a
    regular file.
    """

    path: Path
    on_refused: Callable[[str], None]
    """Called with a text about each part of the file that cannot be read."""
    _raw: BufferedReader | None = None
    size: int = attrs.field(init=False)
    """Bytes on disk."""

    def __attrs_post_init__(self) -> None:
        if not self.path.is_file():
            raise UsageError(f"{self.path}: expected a recording or a candle file, found none")
        self.size = self.path.stat().st_size

    @property
    def position(self) -> int:
        """Bytes on disk read so far."""
        return 0 if self._raw is None or self._raw.closed else self._raw.tell()

    def lines(self) -> Iterator[str]:
        """Line by line; slower than `blocks`."""
        for block in self.blocks():
            yield from block.split("\n")

    def blocks(self) -> Iterator[str]:
        """Whole lines, block by block, without the end of the last one. Raises UsageError."""
        for block in self.byte_blocks():
            yield block.decode("utf-8", "replace")

    def byte_blocks(self) -> Iterator[bytes]:
        """The blocks as they are on disk. Raises UsageError when the file cannot be opened."""
        with self._open() as raw:
            self._raw = raw
            try:
                is_gzip = raw.peek(2)[:2] == _GZIP_MAGIC
            except OSError as error:
                raise UsageError(
                    f"{self.path}: expected a readable file, got: {reason_of(error)}"
                ) from None
            yield from self._split(gzip.GzipFile(fileobj=raw) if is_gzip else raw)

    def _open(self) -> BufferedReader:
        try:
            return open_regular(self.path)[0]
        except NotARegularFile as error:
            raise UsageError(f"{self.path}: {error}") from None
        except OSError as error:
            raise UsageError(
                f"{self.path}: expected a readable file, got: {reason_of(error)}"
            ) from None

    def _split(self, file: gzip.GzipFile | BufferedReader) -> Iterator[bytes]:
        rest = b""
        is_too_long = False
        for block in self._chunks(file):
            end = block.rfind(b"\n")
            if is_too_long:
                # The rest of the line that was refused, up to the next line.
                start = block.find(b"\n") + 1
                if not start:
                    continue
                is_too_long = False
                block, end = block[start:], end - start
            if end < 0:
                rest += block
                if len(rest) > MAX_LINE:
                    self._refuse(f"expected lines of at most {MAX_LINE} bytes, got a longer one")
                    rest, is_too_long = b"", True
                continue
            whole = rest + block[:end]
            rest = block[end + 1 :]
            yield whole
        if rest:
            yield rest

    def _chunks(self, file: gzip.GzipFile | BufferedReader) -> Iterator[bytes]:
        """Pieces of `BLOCK` bytes or a little more, as far as the file can be read."""
        has_more = True
        while has_more:
            chunk = b""
            while has_more and len(chunk) < BLOCK:
                try:
                    # Not `read`, which loses what a torn file still has of its last block.
                    part = file.read1(BLOCK)
                except (OSError, EOFError, zlib.error) as error:
                    self._refuse(f"expected more of the file, got: {error}")
                    part = b""
                has_more = bool(part)
                chunk += part
            if chunk:
                yield chunk

    def _refuse(self, problem: str) -> None:
        self.on_refused(f"{self.path}: {problem}")
