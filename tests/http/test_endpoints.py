"""The REST calls, from the guard to the fleet and back, without a socket."""

import pytest
import trio
from trio.testing import MockClock

from levitrio.control.answers import TradingAnswer
from levitrio.control.fleet_interface import Peer
from levitrio.errors import ControlError
from tests.http.fakes import TOKEN, FakeWebFleet, browsing, make_fleet

LOOKING = (
    "/engines/status",
    "/engines/status/SOLUSDT",
    "/engines/incidents/sol-usdt",
    "/engines/prices/sol%2Fusdt".replace("%2F", "-"),
    "/risk",
    "/risk/equity",
    "/metrics",
    "/healthz",
    "/readyz",
    "/openapi.json",
    "/",
    "/page/main.js",
)
CHANGING = (
    *(
        f"/engines/{verb}/SOLUSDT"
        for verb in ("start", "stop", "restart", "pause", "resume", "reset")
    ),
    "/risk/halt",
    "/risk/unhalt",
)


@pytest.mark.parametrize("path", LOOKING)
async def test_looking_needs_no_token(autojump_clock: MockClock, path: str) -> None:
    """Every GET is answered, with the headers that keep a browser in its place."""
    async with browsing(make_fleet()) as browser:
        answer = await browser.ask("GET", path)
    assert answer.status == 200
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", CHANGING)
async def test_changing_needs_the_token(autojump_clock: MockClock, path: str) -> None:
    """Without it, or from elsewhere, the fleet hears nothing; with it, exactly once."""
    fleet = make_fleet()
    async with browsing(fleet) as browser:
        assert (await browser.ask("POST", path)).status == 401
        assert (await browser.ask("POST", path, token="wrong")).status == 401
        assert (await browser.ask("POST", path, token=TOKEN, host="evil:1")).status == 403
        foreign = await browser.ask("POST", path, token=TOKEN, origin="http://evil.example")
        assert foreign.status == 403
        for method in ("GET", "PUT", "DELETE", "PATCH"):
            assert (await browser.ask(method, path, token=TOKEN)).status == 405
        assert fleet.commands == []
        answer = await browser.ask("POST", path, token=TOKEN)
        assert answer.status == 200
        assert answer.json["ok"] is True
    assert len(fleet.commands) == 1


async def test_the_documented_answer(autojump_clock: MockClock) -> None:
    """POST answers ok, symbol and what was done, and the event log says who asked."""
    fleet = make_fleet()
    async with browsing(fleet) as browser:
        answer = await browser.ask("POST", "/engines/restart/sol-usdt", token=TOKEN)
    assert answer.json == {"ok": True, "symbol": "SOLUSDT", "status": "restarted"}
    assert fleet.reported == [("http_command", "restart SOLUSDT, requested from 127.0.0.1:50000")]
    assert [(verb, symbols) for verb, symbols, _ in fleet.commands] == [("restart", ("SOLUSDT",))]


@pytest.mark.parametrize("symbol", ["DOGEUSDT", "*", "SOL*", "[A-Z]*", "..", "€", "x" * 200, "A B"])
async def test_an_unknown_symbol_is_404(autojump_clock: MockClock, symbol: str) -> None:
    """Also what can be no symbol, and a glob: a path names one engine."""
    fleet = make_fleet()
    async with browsing(fleet) as browser:
        for method, path in (("GET", "/engines/status/"), ("POST", "/engines/stop/")):
            answer = await browser.ask(method, path + symbol, token=TOKEN)
            assert answer.status == 404
            assert answer.json["ok"] is False
    assert fleet.commands == []


async def test_a_refusal_is_409(autojump_clock: MockClock) -> None:
    """With the reason and the next command to type."""
    fleet = make_fleet()
    fleet.failed.add("SOLUSDT")
    async with browsing(fleet) as browser:
        answer = await browser.ask("POST", "/engines/restart/SOLUSDT", token=TOKEN)
    assert answer.status == 409
    assert answer.json["error"] == "SOLUSDT is refused: it was given up"
    assert answer.json["hint"] == "levi ctl reset SOLUSDT"


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{}", "application/json", 200),
        (b"{}", "application/json; charset=utf-8", 200),
        (b"{}", "text/plain", 415),
        (b"a=1", "application/x-www-form-urlencoded", 415),
        (b"[]", "application/json", 400),
        (b'{"symbol":"X"}', "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"{", "application/json", 400),
        (b" " * 5000, "application/json", 413),
        (b"[" * 4000, "application/json", 400),
    ],
)
async def test_bodies(
    autojump_clock: MockClock, body: bytes, content_type: str, status: int
) -> None:
    """Nothing, or an object without unknown members; a form of a foreign page is neither."""
    fleet = make_fleet()
    async with browsing(fleet) as browser:
        answer = await browser.ask(
            "POST", "/engines/stop/SOLUSDT", token=TOKEN, body=body, content_type=content_type
        )
    assert answer.status == status
    assert len(fleet.commands) == (status == 200)


async def test_halt_takes_a_reason(autojump_clock: MockClock) -> None:
    """The reason reaches the fleet without anything a terminal would act on."""
    fleet = make_fleet()
    async with browsing(fleet) as browser:
        body = b'{"reason": "too \\u001b[31mred"}'
        answer = await browser.ask(
            "POST", "/risk/halt", token=TOKEN, body=body, content_type="application/json"
        )
    assert answer.json["trading_state"] == "halted"
    assert fleet.commands[0][1] == ("too \\x1b[31mred",)


async def test_a_refused_control_error_is_told(autojump_clock: MockClock) -> None:
    """What the fleet refuses with a code of its own has an HTTP status of its own."""

    class Unwilling(FakeWebFleet):
        async def halt(self, reason: str, peer: Peer) -> TradingAnswer:
            raise ControlError(-32011, "the journal cannot keep it", "levi ctl events")

    async with browsing(Unwilling({"SOLUSDT": "running"})) as browser:
        answer = await browser.ask("POST", "/risk/halt", token=TOKEN)
    assert (answer.status, answer.json["hint"]) == (409, "levi ctl events")


async def test_not_ready_is_503(autojump_clock: MockClock) -> None:
    """Alive, but a part is missing: the two probes differ, and the text says which."""
    fleet = make_fleet()
    fleet.waiting = "no connection to the market yet"
    async with browsing(fleet) as browser:
        assert (await browser.ask("GET", "/healthz")).status == 200
        answer = await browser.ask("GET", "/readyz")
    assert (answer.status, answer.json["error"]) == (503, "no connection to the market yet")


async def test_unknown_paths_and_methods(autojump_clock: MockClock) -> None:
    """404 and 405 look like every other refusal, also with a slash too many."""
    async with browsing(make_fleet()) as browser:
        for path in ("/nothing", "/engines/status/", "/page/../server.py", "/page/x", "//"):
            answer = await browser.ask("GET", path)
            assert answer.status == 404
            assert answer.json["ok"] is False
        answer = await browser.ask("POST", "/metrics", token=TOKEN)
    assert answer.status == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


async def test_a_client_that_leaves_cancels_nothing(autojump_clock: MockClock) -> None:
    """The command was begun, so it is carried out to its end."""
    fleet = make_fleet()
    fleet.slow = 2.0
    async with browsing(fleet) as browser:
        with trio.move_on_after(1) as scope:
            await browser.ask("POST", "/engines/stop/SOLUSDT", token=TOKEN)
        assert scope.cancelled_caught
        assert fleet.wanted["SOLUSDT"] == "running"
        await trio.sleep(2)
        assert fleet.wanted["SOLUSDT"] == "stopped"


async def test_after_a_command_the_status_is_new(autojump_clock: MockClock) -> None:
    """The status after a command is never from before it."""
    fleet = make_fleet()
    async with browsing(fleet) as browser:
        await browser.ask("GET", "/engines/status")
        fleet.rows["SOLUSDT"]["status"] = "stopped"
        await browser.ask("POST", "/engines/stop/SOLUSDT", token=TOKEN)
        row = (await browser.ask("GET", "/engines/status/SOLUSDT")).json
    assert row["status"] == "stopped"


async def test_a_bug_is_500_and_nothing_more(autojump_clock: MockClock) -> None:
    """The client learns that it is a bug, without the traceback; the log gets it."""
    fleet = make_fleet()
    fleet.bug = RuntimeError("secret detail")
    async with browsing(fleet) as browser:
        answer = await browser.ask("GET", "/engines/status")
    assert answer.status == 500
    assert b"secret detail" not in answer.body
    ((kind, text),) = fleet.reported
    assert kind == "http_failed"
    assert text.startswith("RuntimeError: secret detail at fakes.py:")


async def test_websockets_are_turned_away(autojump_clock: MockClock) -> None:
    """The guard knows HTTP and nothing else."""
    sent: list[dict[str, object]] = []

    async def send(message: object) -> None:
        assert isinstance(message, dict)
        sent.append(message)

    async with browsing(make_fleet()) as browser:
        await browser.application({"type": "websocket"}, trio.sleep_forever, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]


async def test_refusals_are_told_without_a_flood(autojump_clock: MockClock) -> None:
    """A hostile page asks a thousand times; the log has a line each ten seconds."""
    fleet = make_fleet()
    async with browsing(fleet) as browser:
        for _ in range(300):
            await browser.ask("POST", "/risk/halt")
            await trio.sleep(0.1)
    assert [kind for kind, _ in fleet.reported] == ["http_refused"] * 3
