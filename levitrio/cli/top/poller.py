"""Polls the fleet in a thread, so that the screen never waits for the fleet.

The thread is a daemon, because a fleet that hangs must not delay a person who presses `q`.
"""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import attrs

from levitrio.cli.log_reader import LogReader, LogRecord
from levitrio.cli.top import actions
from levitrio.cli.top.actions import Intent
from levitrio.control import error_codes
from levitrio.control.answers import History
from levitrio.control.client import ControlClient
from levitrio.control.status_document import FleetStatus
from levitrio.errors import ControlError, FleetUnreachable, LevitrioError

INTERVAL = 1.0
"""Seconds from one status to the next."""

SHARE = 2.0
"""The pause is at least this many times as long as the last answer took, so that polling takes
less than a third of the time, however large the fleet."""

PATIENCE = 5.0
"""Seconds to wait for an answer."""

INCIDENTS, LOG_LINES = 10, 40


@attrs.frozen
class StatusReceived:
    """A status document."""

    document: FleetStatus


@attrs.frozen
class ConnectionLost:
    """The fleet does not answer."""

    reason: str


@attrs.frozen
class CommandFinished:
    """The outcome of a command."""

    text: str
    is_error: bool


@attrs.frozen
class EngineDetails:
    """Incidents and log of one engine."""

    symbol: str
    history: History | str
    """Its incidents, or the reason they cannot be read."""
    records: Sequence[LogRecord]
    """The last records of its log, oldest first."""


Report = StatusReceived | ConnectionLost | CommandFinished | EngineDetails


@attrs.frozen
class _DetailsRequest:
    """A request for the details of an engine."""

    symbol: str
    logs: Path


def retry_after(attempt: int) -> float:
    """Seconds to wait after failure number `attempt`, from 1: 0.5, doubling up to 5."""
    return min(5.0, 0.5 * 2.0 ** min(attempt - 1, 10))


def pause_after(took: float) -> float:
    """Seconds to wait after an answer that took `took` seconds."""
    return max(INTERVAL - took, SHARE * took)


class StatusPoller:
    """Polls one fleet in a thread, which calls `report` with each report."""

    def __init__(self, path: str, report: Callable[[Report], None]) -> None:
        self._path = path
        self._report = report
        self._work: queue.SimpleQueue[Intent | _DetailsRequest] = queue.SimpleQueue()
        self._client: ControlClient | None = None
        self._closed = False

    def start(self) -> None:
        """Start the thread; call once."""
        threading.Thread(target=self._run, name="levi-top-poller", daemon=True).start()

    def close(self) -> None:
        """Stop polling; does not wait for an answer that is due."""
        self._closed = True

    def command(self, intent: Intent) -> None:
        """Send a command, unless the fleet does not answer; reports CommandFinished."""
        self._work.put(intent)

    def request_details(self, symbol: str, data_dir: str) -> None:
        """Read incidents and the last log lines of an engine; reports EngineDetails."""
        self._work.put(_DetailsRequest(symbol, Path(data_dir) / "logs"))

    def _run(self) -> None:
        attempt = 0
        while not self._closed:
            began = time.monotonic()
            try:
                document = check_document(self._connected().call("status"))
            except LevitrioError as error:
                attempt += 1
                pause = retry_after(attempt)
                self._disconnect()
                self._report(ConnectionLost(str(error)))
                self._refuse_until(time.monotonic() + pause)
                continue
            attempt = 0
            now = time.monotonic()
            self._report(StatusReceived(document))
            self._work_until(now + pause_after(now - began))
        self._disconnect()

    def _work_until(self, deadline: float) -> None:
        """Carry out requests until the deadline; returns after a command, to poll at once."""
        while (left := deadline - time.monotonic()) > 0:
            try:
                work = self._work.get(timeout=left)
            except queue.Empty:
                return
            try:
                match work:
                    case Intent():
                        self._carry_out(work)
                        return
                    case _DetailsRequest():
                        self._send_details(work)
            except FleetUnreachable as error:
                self._disconnect()
                if isinstance(work, Intent):
                    self._report(
                        CommandFinished(
                            f"{error}; the command may have been carried out", is_error=True
                        )
                    )
                return

    def _refuse_until(self, deadline: float) -> None:
        """Refuse commands while the fleet does not answer: another fleet may answer next."""
        while (left := deadline - time.monotonic()) > 0:
            try:
                work = self._work.get(timeout=left)
            except queue.Empty:
                return
            if isinstance(work, Intent):
                self._report(CommandFinished("no fleet answers; nothing was sent", is_error=True))

    def _carry_out(self, intent: Intent) -> None:
        try:
            result = self._connected().call(intent.action.verb, intent.params)
        except ControlError as error:
            text = f"{error.message}; {error.hint}" if error.hint else error.message
            self._report(CommandFinished(text, is_error=True))
        else:
            self._report(CommandFinished(actions.outcome(intent, result), is_error=False))

    def _send_details(self, request: _DetailsRequest) -> None:
        try:
            records = LogReader(request.logs, [request.symbol]).last(LOG_LINES)
        except OSError:
            records = []  # moved or deleted meanwhile; the incidents can still be read
        params = {"symbol": request.symbol, "limit": INCIDENTS}
        try:
            history: History | str = self._connected().call("history", params)
        except ControlError as error:
            history = error.message
        self._report(EngineDetails(request.symbol, history, records))

    def _connected(self) -> ControlClient:
        if self._client is None:
            self._client = ControlClient(self._path, PATIENCE)
        return self._client

    def _disconnect(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


def check_document(answer: Any) -> FleetStatus:
    """Check that an answer is a status document.

    Raises:
        ControlError: It is none; another version of the fleet may have sent it.
    """
    engines = answer.get("engines") if isinstance(answer, dict) else None
    if not isinstance(engines, list) or not all(isinstance(row, dict) for row in engines):
        raise ControlError(error_codes.INTERNAL_ERROR, "the fleet sent no status document")
    return cast(FleetStatus, answer)
