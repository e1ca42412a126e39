"""Log files: one per symbol and UTC day, opened when needed, with a bounded number open.

Used by the thread of `LogWriter` only.
"""

import os
import stat
from collections import OrderedDict
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from levitrio.records.logs.log_format import LogRecord
from levitrio.trading.market import SYMBOL

OPEN_LIMIT = 64
"""Files open at once, so that 1,000 engines need few descriptors; the least recent is closed."""

_TAIL = 64 * 1024


def file_name(record: LogRecord) -> str:
    """`engine-SOLUSDT-20261122.jsonl` or `orchestrator-20261122.jsonl`, by the record's UTC date.

    Raises:
        ValueError: the symbol is not safe in a file name.
    """
    day = f"{datetime.fromtimestamp(record.wall_ms // 1000, UTC):%Y%m%d}"
    if record.symbol is None:
        return f"orchestrator-{day}.jsonl"
    if not SYMBOL.match(record.symbol) or ".." in record.symbol:
        raise ValueError(f"expected a symbol, got {record.symbol[:64]!r}")
    return f"engine-{record.symbol}-{day}.jsonl"


class LogFiles:
    """Appends to the files of one directory, which is created with mode 0700."""

    def __init__(self, directory: Path, *, open_limit: int = OPEN_LIMIT) -> None:
        self._directory = directory
        self._open_limit = open_limit
        self._open: OrderedDict[str, int] = OrderedDict()

    def append(self, name: str, lines: Iterable[bytes]) -> None:
        """Append whole lines, all or none of them.

        Raises:
            OSError: the file cannot be opened or written; no part of the lines is in it.
        """
        descriptor = self._descriptor(name)
        try:
            size = os.fstat(descriptor).st_size
            rest = memoryview(b"".join(lines))
            try:
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
            except OSError:
                os.ftruncate(descriptor, size)  # an incomplete line would not parse
                raise
        except OSError:
            os.close(self._open.pop(name))
            raise

    def _descriptor(self, name: str) -> int:
        if name in self._open:
            self._open.move_to_end(name)
            return self._open[name]
        while len(self._open) >= self._open_limit:
            os.close(self._open.popitem(last=False)[1])
        path = self._directory / name
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            descriptor = os.open(path, flags, 0o600)
        except FileNotFoundError:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, flags, 0o600)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(f"{path}: expected a regular file")
            _cut_torn_line(descriptor)
        except OSError:
            os.close(descriptor)
            raise
        self._open[name] = descriptor
        return descriptor

    def close(self) -> None:
        """Close every file."""
        while self._open:
            os.close(self._open.popitem()[1])


def _cut_torn_line(descriptor: int) -> None:
    # A kill during a write leaves an incomplete line; the line appended to it would not parse.
    size = os.fstat(descriptor).st_size
    tail = os.pread(descriptor, _TAIL, max(0, size - _TAIL))
    if tail and not tail.endswith(b"\n"):
        os.ftruncate(descriptor, size - len(tail) + tail.rfind(b"\n") + 1)
