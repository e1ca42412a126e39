"""Reads the log files of a fleet, merged by time, and follows them into the next day."""

import heapq
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs

from levitrio.cli.terminal import neutral

LogRecord = dict[str, Any]
"""One line of a log file; its members depend on the event."""

POLL = 0.25
"""Seconds between two reads for new lines."""

TAIL = 64 * 1024
"""Bytes first read from the end of a file; doubled until they hold enough lines."""


@attrs.define(eq=False)
class LogReader:
    """Reads the files of some engines, or the orchestrator's without symbols."""

    folder: Path
    symbols: Sequence[str]
    _offsets: dict[Path, int] = attrs.field(factory=dict)

    def last(self, count: int) -> list[LogRecord]:
        """The newest `count` records of all files together, oldest first; `new` continues there."""
        newest: list[LogRecord] = []
        for prefix in self._prefixes():
            found: list[LogRecord] = []
            for path in reversed(self._files(prefix)):
                # Before the file is read: lines written meanwhile are left to `new`.
                self._offsets.setdefault(path, path.stat().st_size)
                if len(found) < count:
                    found = _tail(path, self._offsets[path], count - len(found)) + found
            newest = heapq.nlargest(count, [*newest, *found], key=_when)
        return sorted(newest, key=_when)

    def new(self) -> list[LogRecord]:
        """Records written since the last call, oldest first, also in files of a new day."""
        found: list[LogRecord] = []
        for prefix in self._prefixes():
            for path in self._files(prefix):
                found += self._read_on(path)
        return sorted(found, key=_when)

    def follow(self) -> Iterator[LogRecord]:
        """Yield every new record, without end."""
        while True:
            yield from self.new()
            time.sleep(POLL)

    def _prefixes(self) -> list[str]:
        return [f"engine-{symbol}-" for symbol in self.symbols] or ["orchestrator-"]

    def _files(self, prefix: str) -> list[Path]:
        """Files of a prefix, oldest day first; BTCUSD does not match the files of BTCUSDT."""
        days = self.folder.glob(f"{prefix}{'[0-9]' * 8}.jsonl")
        return sorted(days)

    def _read_on(self, path: Path) -> list[LogRecord]:
        begin = self._offsets.get(path, 0)
        if path.stat().st_size <= begin:
            return []
        with path.open("rb") as file:
            file.seek(begin)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]  # an unfinished line is read with the next call
        self._offsets[path] = begin + len(whole)
        return _parse(whole)


def describe(record: LogRecord) -> str:
    """A record as one printable line."""
    head = f"{record.get('ts', '-')} {record.get('symbol', 'fleet')} {record.get('event', '')}"
    fields = {k: v for k, v in record.items() if k not in ("ts", "level", "symbol", "event")}
    text = fields.pop("text", "")
    rest = " ".join(f"{key}={value}" for key, value in fields.items() if key != "seq")
    return neutral(" ".join(part for part in (head, str(text), rest) if part))


def _tail(path: Path, end: int, count: int) -> list[LogRecord]:
    size = TAIL
    while True:
        begin = max(0, end - size)
        with path.open("rb") as file:
            file.seek(begin)
            data = file.read(end - begin)
        if begin:  # the first line was probably cut
            data = data[data.find(b"\n") + 1 :]
        records = _parse(data)
        if begin == 0 or len(records) >= count:
            return records[-count:]
        size *= 2


def _parse(data: bytes) -> list[LogRecord]:
    records = []
    for line in data.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue  # a line cut by a full disk
        if isinstance(record, dict):
            records.append(record)
    return records


def _when(record: LogRecord) -> str:
    return str(record.get("ts", ""))
