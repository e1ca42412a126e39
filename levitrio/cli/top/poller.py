"""The thread between the fleet and the screen: it asks, waits, retries; the screen never does.

It ends with the process: it is a daemon, because a fleet that hangs must not keep a person who
presses `q`.
"""

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import attrs

from levitrio.cli.log_reader import LogReader
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
"""The pause is at least this many times what the last answer took: however large the fleet or
slow the machine, looking takes less than a third of the time."""

PATIENCE = 5.0
"""Seconds for one answer."""

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
    """What became of a command."""

    text: str
    is_error: bool


@attrs.frozen
class EngineDetails:
    """What is known about one engine beside its status."""

    symbol: str
    history: History | str
    """Its incidents, or why they cannot be had."""
    records: Sequence[Mapping[str, Any]]
    """The last records of its log, oldest first."""


News = StatusReceived | ConnectionLost | CommandFinished | EngineDetails


@attrs.frozen
class _Question:
    """Wanted: the story of an engine."""

    symbol: str
    logs: Path


def retry_after(attempt: int) -> float:
    """Seconds to wait after failure number `attempt`, from 1: 0.5, doubling up to 5."""
    return min(5.0, 0.5 * 2.0 ** min(attempt - 1, 10))


def pause_after(took: float) -> float:
    """Seconds to wait after an answer that took `took` seconds."""
    return max(INTERVAL - took, SHARE * took)


class StatusPoller:
    """Polls one fleet in a thread of its own; `tell` is called there with each piece of news."""

    def __init__(self, path: str, tell: Callable[[News], None]) -> None:
        self._path = path
        self._tell = tell
        self._work: queue.SimpleQueue[Intent | _Question] = queue.SimpleQueue()
        self._client: ControlClient | None = None
        self._closed = False

    def start(self) -> None:
        """Begin; once."""
        threading.Thread(target=self._run, name="levi-top-link", daemon=True).start()

    def close(self) -> None:
        """Ask nothing more; what is being waited for is not waited for here."""
        self._closed = True

    def command(self, intent: Intent) -> None:
        """Send it, unless the fleet is away; `Told` says what became of it."""
        self._work.put(intent)

    def fetch_story(self, symbol: str, data_dir: str) -> None:
        """Ask for incidents and read the last log lines; answered by `Story`."""
        self._work.put(_Question(symbol, Path(data_dir) / "logs"))

    def _run(self) -> None:
        attempt = 0
        while not self._closed:
            began = time.monotonic()
            try:
                document = check_document(self._connected().call("status"))
            except LevitrioError as error:
                attempt += 1
                pause = retry_after(attempt)
                self._hang_up()
                self._tell(ConnectionLost(str(error)))
                self._refuse_until(time.monotonic() + pause)
                continue
            attempt = 0
            now = time.monotonic()
            self._tell(StatusReceived(document))
            self._work_until(now + pause_after(now - began))
        self._hang_up()

    def _work_until(self, deadline: float) -> None:
        """Do what is asked for meanwhile; after a command the next look comes at once."""
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
                    case _Question():
                        self._answer(work)
            except FleetUnreachable as error:
                self._hang_up()
                if isinstance(work, Intent):
                    self._tell(
                        CommandFinished(f"{error}; whether it was done is not known", is_error=True)
                    )
                return

    def _refuse_until(self, deadline: float) -> None:
        """Nothing is kept for a fleet that is away: it may come back as another one."""
        while (left := deadline - time.monotonic()) > 0:
            try:
                work = self._work.get(timeout=left)
            except queue.Empty:
                return
            if isinstance(work, Intent):
                self._tell(CommandFinished("no fleet answers; nothing was sent", is_error=True))

    def _carry_out(self, intent: Intent) -> None:
        try:
            result = self._connected().call(intent.action.verb, intent.params)
        except ControlError as error:
            text = f"{error.message}; {error.hint}" if error.hint else error.message
            self._tell(CommandFinished(text, is_error=True))
        else:
            self._tell(CommandFinished(actions.outcome(intent, result), is_error=False))

    def _answer(self, question: _Question) -> None:
        try:
            records = LogReader(question.logs, [question.symbol]).last(LOG_LINES)
        except OSError:
            records = []  # moved away or deleted meanwhile: the incidents are still there
        params = {"symbol": question.symbol, "limit": INCIDENTS}
        try:
            history: History | str = self._connected().call("history", params)
        except ControlError as error:
            history = error.message
        self._tell(EngineDetails(question.symbol, history, records))

    def _connected(self) -> ControlClient:
        if self._client is None:
            self._client = ControlClient(self._path, PATIENCE)
        return self._client

    def _hang_up(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


def check_document(answer: Any) -> FleetStatus:
    """A status document; raises ControlError for what is none, whoever sent it."""
    engines = answer.get("engines") if isinstance(answer, dict) else None
    if not isinstance(engines, list) or not all(isinstance(row, dict) for row in engines):
        raise ControlError(error_codes.INTERNAL_ERROR, "the fleet sent no status document")
    return cast(FleetStatus, answer)
