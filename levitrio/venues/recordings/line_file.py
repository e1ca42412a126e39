"""Files of lines, plain or gzip, read in blocks: a loop over blocks costs a fraction of one over
lines of a file object."""

import gzip
import zlib
from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import Path

import attrs

from levitrio.errors import UsageError

BLOCK = 1 << 18
"""Bytes: fits the processor's cache, and memory stays flat."""

MAX_LINE = 4 * 1024 * 1024
"""Bytes. A depth snapshot has 300 kB; a line without end must not fill the memory."""

_GZIP_MAGIC = b"\x1f\x8b"


@attrs.define(eq=False)
class LineFile:
    """One file; each iteration of `blocks` reads it from the start."""

    path: Path
    on_refused: Callable[[str], None]
    """Told what of the file could not be read."""
    _raw: BufferedReader | None = None
    size: int = attrs.field(init=False)
    """Bytes on disk."""

    def __attrs_post_init__(self) -> None:
        # A pipe or a device would block at the first read.
        if not self.path.is_file():
            raise UsageError(f"{self.path}: expected a recording or a candle file, found none")
        self.size = self.path.stat().st_size

    @property
    def position(self) -> int:
        """Bytes of the file on disk that were read."""
        return 0 if self._raw is None or self._raw.closed else self._raw.tell()

    def lines(self) -> Iterator[str]:
        """Line by line, for whoever is in no hurry."""
        for block in self.blocks():
            yield from block.split("\n")

    def blocks(self) -> Iterator[str]:
        """Whole lines, block by block, without the end of the last one.

        Raises UsageError when the file cannot be opened.
        """
        try:
            with self.path.open("rb") as raw:
                self._raw = raw
                is_gzip = raw.read(2) == _GZIP_MAGIC
                raw.seek(0)
                yield from self._split(gzip.GzipFile(fileobj=raw) if is_gzip else raw)
        except OSError as error:
            raise UsageError(f"{self.path}: expected a readable file, got: {error}") from None

    def _split(self, file: gzip.GzipFile | BufferedReader) -> Iterator[str]:
        rest = b""
        has_more = True
        while True:
            block = b""
            while has_more and len(block) < BLOCK:
                # Not `read`: what a torn file still has of its last block would be lost with it.
                try:
                    part = file.read1(BLOCK)
                except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                    # What was read before is good; the rest of the file is lost, and said so.
                    self.on_refused(f"{self.path}: expected more of the file, got: {error}")
                    part = b""
                has_more = bool(part)
                block += part
            if not block:
                if rest:
                    yield rest.decode("utf-8", "replace")
                return
            end = block.rfind(b"\n")
            if end < 0:
                rest += block
                if len(rest) > MAX_LINE:
                    self.on_refused(f"{self.path}: expected lines, got more than {MAX_LINE} bytes")
                    return
                continue
            whole = rest + block[:end]
            rest = block[end + 1 :]
            yield whole.decode("utf-8", "replace")
