"""Messages: once each, not too many, and never the fleet's problem."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import MappingProxyType

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from levitrio.records.alerts import PER_MINUTE, REPEAT_AFTER, AlertRules, Alerts, Message
from levitrio.records.events import Event
from levitrio.records.offload import inline

ON = ("failed", "halted", "stuck", "stale", "blocked", "journal", "summary")


def make_event(kind: str, engine: str | None = None, text: str = "why", seq: int = 1) -> Event:
    return Event(seq=seq, wall_ms=0, engine=engine, kind=kind, text=text, data=MappingProxyType({}))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("failed", "given up: 5 restarts"),
        ("trading_state", "trading is halted: drill"),
        ("stuck", "has not stopped"),
        ("stale", "no data for 40 s"),
        ("blocked", "the loop for 0.5 s"),
        ("journal_trouble", "disk full"),
        ("summary", "equity 10000"),
    ],
)
def test_each_kind_is_told_once(kind: str, text: str) -> None:
    """One message for each kind that is asked for, and none for what is not."""
    rules = AlertRules(fleet="demo", on=ON)
    event = make_event(kind, "SOLUSDT", text)
    message = rules.judge(event, 0.0)
    assert message is not None
    assert "demo SOLUSDT" in message.title
    assert text in message.body
    if kind != "summary":
        assert rules.judge(event, 1.0) is None
    assert AlertRules(fleet="demo", on=()).judge(event, 0.0) is None


def test_repeats_are_counted() -> None:
    """After a quarter of an hour the same news is told again, with how often it came."""
    rules = AlertRules(fleet="demo", on=ON)
    event = make_event("blocked", "SOLUSDT")
    rules.judge(event, 0.0)
    for second in range(1, 4):
        assert rules.judge(event, float(second)) is None
    message = rules.judge(event, REPEAT_AFTER)
    assert message is not None
    assert "3 more since" in message.body


def test_too_many_are_held_back_and_owned_up_to() -> None:
    """A hundred engines that fail together are ten messages and a number."""
    rules = AlertRules(fleet="demo", on=ON)
    sent = [rules.judge(make_event("failed", f"S{i}USDT"), 0.0) for i in range(100)]
    assert sum(message is not None for message in sent) == PER_MINUTE
    later = rules.judge(make_event("failed", "LATEUSDT"), 61.0)
    assert later is not None
    assert "90 other messages were too many" in later.body


async def test_a_failing_service_costs_nobody(autojump_clock: MockClock) -> None:
    """A service that raises or refuses is reported without its address; the next message goes."""
    outcomes = iter((RuntimeError("https://secret-token"), False, True))
    sent: list[Message] = []
    problems: list[str] = []

    def send(message: Message) -> bool:
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        sent.append(message)
        return outcome

    rules = AlertRules(fleet="demo", on=ON)
    alerts = Alerts(rules=rules, send=send, offload=inline, failed=problems.append)
    async with trio.open_nursery() as nursery:
        await nursery.start(alerts.run)
        for engine in ("A", "B", "C"):
            alerts(make_event("failed", engine))
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert [message.title for message in sent] == [
        "levitrio demo B: failed",
        "levitrio demo C: failed",
    ]
    assert len(problems) == 2
    assert "secret" not in "".join(problems)


@pytest.mark.filterwarnings("default::DeprecationWarning")  # apprise's own, at its import
def test_a_real_webhook() -> None:
    """Through the real library to a local webhook: it arrives, once."""
    pytest.importorskip("apprise", reason="the extra [alerts] is not installed")
    from levitrio.records.apprise_sender import make_send

    got: list[dict[str, str]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Quiet."""

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        server.timeout = 5.0
        thread = threading.Thread(target=server.handle_request, daemon=True)
        thread.start()
        send = make_send([f"json://127.0.0.1:{server.server_port}"])
        assert send(Message(title="levitrio demo: test", body="hello"))
        thread.join()
    assert [message["message"] for message in got] == ["hello"]
