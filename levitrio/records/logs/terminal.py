"""Shows log records on the terminal, and skips them when the terminal does not take them in time.

A terminal that was closed or stopped with Ctrl-S, or a pipe without a reader, must not stop the
log files, which the same thread writes: records it does not take in time are counted.
"""

import io
import os
import select
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, TextIO

from levitrio.records.logs.log_format import LogRecord, human_line, json_line

WRITABLE_WITHIN_MS = 50
"""Milliseconds to wait: enough for a slow terminal; one that is stopped delays files no longer."""

_CHUNK = 4096
"""Bytes, PIPE_BUF: a pipe that polls writable takes this much without blocking."""

LogFormat = Literal["human", "json"]


class Terminal:
    """Shows records on `stream`; used by the log writer's thread only. Never raises OSError.

    With `stream` None (closed at start) it shows nothing. It uses colour only in the format
    `human`, only on a terminal, and not when NO_COLOR is set in `environ` or TERM is `dumb`.
    """

    def __init__(
        self,
        stream: TextIO | None,
        *,
        format: LogFormat = "human",  # noqa: A002  the option's own word
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._write: Callable[[bytes], bool] | None = None
        self.skipped = 0
        """Records not shown because the terminal did not take them."""
        is_terminal = False
        if stream is not None and not stream.closed:
            try:
                descriptor = stream.fileno()
                is_terminal = os.isatty(descriptor)
                self._write = _to_descriptor(descriptor)
            except (OSError, io.UnsupportedOperation):
                self._write = _to_stream(stream)
        plain = bool(environ.get("NO_COLOR")) or environ.get("TERM") == "dumb"
        self.colour = is_terminal and not plain and format == "human"
        self._format: LogFormat = format

    def show(self, records: Iterable[LogRecord]) -> None:
        """Show each record as one line."""
        for record in records:
            if self._write is None:
                self.skipped += 1
                continue
            if self._format == "json":
                line = json_line(record)
            else:
                line = human_line(record, colour=self.colour)
            try:
                shown = self._write(line)
            except (OSError, ValueError):
                self._write = None  # the terminal is closed; the files have all records
                shown = False
            self.skipped += not shown


def _to_descriptor(descriptor: int) -> Callable[[bytes], bool]:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    torn = False

    def write(line: bytes) -> bool:
        nonlocal torn
        rest = memoryview(b"\n" + line if torn else line)
        begun = False
        while rest:
            ready = poll.poll(WRITABLE_WITHIN_MS)
            if not ready:
                torn = torn or begun
                return False
            if ready[0][1] & (select.POLLERR | select.POLLNVAL):
                raise BrokenPipeError
            try:
                rest = rest[os.write(descriptor, rest[:_CHUNK]) :]
            except BlockingIOError:
                continue
            begun = True
        torn = False
        return True

    return write


def _to_stream(stream: TextIO) -> Callable[[bytes], bool]:
    def write(line: bytes) -> bool:
        stream.write(line.decode("utf-8"))
        return True

    return write
