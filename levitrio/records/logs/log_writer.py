"""Log writer: the loop appends records to a bounded buffer, and one thread writes them.

Files get all records, the terminal those whose `terminal` is set. When the buffer is full or a
write fails, records are dropped and counted, and the count is logged as soon as records can be
written again.
"""

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import attrs

from levitrio.records.logs.event_log import Event
from levitrio.records.logs.log_files import LogFiles, file_name
from levitrio.records.logs.log_format import LogRecord, json_line, plain_fields
from levitrio.records.logs.terminal import Terminal

BUFFER = 20_000
"""Records: what 1,000 busy engines log in some seconds; some tens of MB at worst."""

CLOSE_TIMEOUT = 2.0
"""Seconds the stop of a fleet waits for a disk that hangs; the thread is a daemon."""


@attrs.frozen(kw_only=True)
class LogStatistics:
    """Counters of the log writer at one moment."""

    written: int
    dropped: int
    """Lost records: the buffer was full, or a write failed."""
    queued: int
    trouble: str
    """Error of the last write; empty when it succeeded."""


class LogWriter:
    """Writes log records to files and terminal; a context manager around the whole trio run.

    `put` may be called from any thread, never waits for the disk and never raises. Records put
    before `__enter__` are kept. `close` writes what is buffered, waiting at most `CLOSE_TIMEOUT`
    seconds.
    """

    def __init__(
        self,
        directory: Path,
        *,
        wall_clock_ms: Callable[[], int],
        terminal: Terminal | None = None,
        buffer: int = BUFFER,
        redact: Callable[[LogRecord], LogRecord] | None = None,
    ) -> None:
        """`redact` takes secrets out of each record, on the writer's thread."""
        self._files = LogFiles(directory)
        self._wall_clock_ms = wall_clock_ms
        self._terminal = terminal
        self._limit = buffer
        self._redact = redact
        self._buffer: deque[LogRecord] = deque()
        self._change = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._written = 0
        self._dropped = 0
        self._unreported = 0
        self._is_loss_shown = False
        self._trouble = ""

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, name="levitrio-log", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self, timeout: float = CLOSE_TIMEOUT) -> None:
        """Write what is buffered and end the thread; a second call does nothing.

        After `timeout` seconds it returns although the thread still writes.
        """
        with self._change:
            self._closing = True
            self._change.notify()
        if self._thread is not None:
            self._thread.join(timeout)

    def put(self, record: LogRecord) -> None:
        """Buffer a record, or drop and count it when the buffer is full or the writer closed."""
        with self._change:
            if len(self._buffer) >= self._limit or self._closing:
                self._dropped += 1
                self._unreported += 1
                return
            self._buffer.append(record)
            if len(self._buffer) == 1:
                self._change.notify()

    def statistics(self) -> LogStatistics:
        """The counters at this moment; cheap."""
        return LogStatistics(
            written=self._written,
            dropped=self._dropped,
            queued=len(self._buffer),
            trouble=self._trouble,
        )

    def _run(self) -> None:
        while True:
            with self._change:
                while not self._buffer and not self._closing:
                    self._change.wait()
                batch, self._buffer = self._buffer, deque()
                ending = self._closing
                lost, self._unreported = self._unreported, 0
            self._write(batch, lost)
            if ending:
                self._files.close()
                return

    def _write(self, batch: "deque[LogRecord]", lost: int) -> None:
        if lost:
            fields = {"count": lost, "reason": self._trouble or "buffer full"}
            at = self._wall_clock_ms()
            # The terminal shows it once: a disk that stays full would fill the screen with it.
            shown, self._is_loss_shown = not self._is_loss_shown, True
            batch.append(LogRecord(at, "warning", None, "log_records_dropped", fields, shown))
        if self._redact is not None:
            batch = deque(map(self._redact, batch))
        if self._terminal is not None:
            self._terminal.show(record for record in batch if record.terminal)
        lines: dict[str, list[bytes]] = defaultdict(list)
        for record in batch:
            lines[file_name(record)].append(json_line(record))
        for name, block in lines.items():
            try:
                self._files.append(name, block)
            except OSError as error:
                self._trouble = f"{name}: {error.strerror or error}"
                # A failed record about dropped records is not counted as dropped itself; the
                # number that it should have reported is reported later.
                reports = 1 if lost and name == file_name(batch[-1]) else 0
                with self._change:
                    self._dropped += len(block) - reports
                    self._unreported += len(block) - reports + (lost if reports else 0)
            else:
                self._written += len(block)
        if not self._unreported:
            self._trouble = ""
            self._is_loss_shown = False


def log_events(logs: LogWriter, levels: Mapping[str, str]) -> Callable[[Event], None]:
    """Make a sink that logs each event of an `EventLog`, at `levels[kind]` or else `info`.

    An event of an engine is written to the engine's file and, with the key `engine` in place of
    `symbol`, to the orchestrator's. The terminal shows it once, and not at all at level debug.
    """

    def sink(event: Event) -> None:
        level = levels.get(event.kind, "info")
        shown = level != "debug"
        fields = plain_fields({"text": event.text, "seq": event.seq, **event.data})
        logs.put(LogRecord(event.wall_ms, level, event.engine, event.kind, fields, shown))
        if event.engine is not None:
            with_engine = {"engine": event.engine, **fields}
            logs.put(LogRecord(event.wall_ms, level, None, event.kind, with_engine, False))

    return sink
