"""Messages: once each, not too many, and never the fleet's problem."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import MappingProxyType

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from levitrio.records.alerts.alerts import PER_MINUTE, REPEAT_AFTER, AlertRules, Alerts
from levitrio.records.alerts.channel import SEND_TIMEOUT, WAITING, Message, Send
from levitrio.records.logs.event_log import Event
from levitrio.records.worker_threads import Offload, inline

ON = ("failed", "halted", "stuck", "stale", "blocked", "journal", "account", "summary")


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
        ("foreign_order", "order x is not ours"),
        ("balance_missing", "the venue holds less BTC"),
        ("capital", "500 USDT put in"),
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
    """After 15 minutes the same event is sent again, with the number of repeats."""
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


def test_what_concerns_the_fleet_is_never_one_too_many() -> None:
    """A halt is sent although a hundred engines sent messages in the same minute."""
    rules = AlertRules(fleet="demo", on=ON)
    for number in range(100):
        rules.judge(make_event("failed", f"S{number}USDT"), 0.0)
    message = rules.judge(make_event("trading_state", None, "trading is halted: daily loss"), 1.0)
    assert message is not None
    assert "daily loss" in message.body


def test_each_state_of_trading_is_news() -> None:
    """Halted after reducing, and halted again after it was lifted; the same halt twice is one."""
    rules = AlertRules(fleet="demo", on=ON)
    sent = []
    for text in (
        *(
            "trading is reducing: daily loss",
            "trading is halted: drill",
            "trading is halted: again",
        ),
        *("trading is active", "trading is halted: drill", "trading is halted: halted it is"),
    ):
        message = rules.judge(make_event("trading_state", None, text), 0.0)
        sent += [message.body.splitlines()[0]] if message is not None else []
    assert sent == [
        "trading is reducing: daily loss",
        "trading is halted: drill",
        "trading is halted: drill",
    ]


def make_alerts(*sends: Send, failed: list[str], offload: Offload = inline) -> Alerts:
    rules = AlertRules(fleet="demo", on=ON)
    alerts = Alerts(rules=rules, offload=lambda: offload, failed=failed.append)
    alerts.configure(ON, sends)
    return alerts


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

    alerts = make_alerts(send, failed=problems)
    async with trio.open_nursery() as nursery:
        await nursery.start(alerts.run)
        for engine in ("A", "B", "C"):
            alerts(make_event("failed", engine))
        await alerts.flush()
        nursery.cancel_scope.cancel()
    assert [message.title for message in sent] == [
        "levitrio demo B: failed",
        "levitrio demo C: failed",
    ]
    assert len(problems) == 2
    assert "secret" not in "".join(problems)


async def test_a_service_that_hangs_delays_only_itself(autojump_clock: MockClock) -> None:
    """Its messages are given up after half a minute each; the other address has all of them."""
    got: list[str] = []
    problems: list[str] = []

    def send(message: Message) -> bool:
        got.append(message.title)
        return True

    async def hang(work: object) -> object:
        await trio.sleep_forever()

    alerts = make_alerts(send, send, failed=problems)
    alerts.channels[0].offload = hang  # type: ignore[assignment]  # it returns nothing at all
    async with trio.open_nursery() as nursery:
        await nursery.start(alerts.run)
        begun = trio.current_time()
        for engine in ("A", "B"):
            alerts(make_event("failed", engine))
        await wait_all_tasks_blocked()
        assert got == ["levitrio demo A: failed", "levitrio demo B: failed"]
        await alerts.flush()
        assert trio.current_time() - begun == pytest.approx(2 * SEND_TIMEOUT)
        nursery.cancel_scope.cancel()
    assert [problem.count("address number 1: no answer within") for problem in problems] == [1, 1]


async def test_a_queue_has_an_end(autojump_clock: MockClock) -> None:
    """The oldest waiting message is dropped, never the one being sent."""
    got: list[str] = []

    def send(message: Message) -> bool:
        got.append(message.title)
        return True

    alerts = make_alerts(send, failed=[])
    (channel,) = alerts.channels
    for number in range(WAITING + 2):
        channel.put(Message(title=str(number), body=""))
    assert channel.dropped == 2
    async with trio.open_nursery() as nursery:
        nursery.start_soon(channel.run)
        await channel.flush()
        nursery.cancel_scope.cancel()
    assert [got[0], got[1], got[-1]] == ["0", "3", str(WAITING + 1)]


async def test_other_addresses_from_now_on(autojump_clock: MockClock) -> None:
    """A reload takes effect at once; without an address no message is sent."""
    old: list[str] = []
    new: list[str] = []

    def send_to(got: list[str]) -> Send:
        def send(message: Message) -> bool:
            got.append(message.title)
            return True

        return send

    alerts = make_alerts(send_to(old), failed=[])
    async with trio.open_nursery() as nursery:
        await nursery.start(alerts.run)
        alerts(make_event("failed", "A"))
        await alerts.flush()
        alerts.configure(ON, (send_to(new),))
        alerts(make_event("failed", "B"))
        await alerts.flush()
        alerts.configure(("halted",), None)
        alerts(make_event("failed", "C"))
        alerts.configure(ON, ())
        alerts(make_event("failed", "D"))
        await alerts.flush()
        nursery.cancel_scope.cancel()
    assert (old, new) == (["levitrio demo A: failed"], ["levitrio demo B: failed"])


@pytest.mark.filterwarnings("default::DeprecationWarning")  # apprise's own, at its import
def test_a_real_webhook() -> None:
    """Through the real library to a local webhook: it arrives, once."""
    pytest.importorskip("apprise", reason="the extra [alerts] is not installed")
    from levitrio.records.alerts.apprise_sender import make_sends

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
        (send,) = make_sends([f"json://127.0.0.1:{server.server_port}"])
        assert send(Message(title="levitrio demo: test", body="hello"))
        thread.join()
    assert [message["message"] for message in got] == ["hello"]
