"""The live view under Textual's pilot: keys in, what is to be seen and what is sent out."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import attrs
import pytest

pytest.importorskip("textual")

from textual.pilot import Pilot

from levitrio.cli.main import main
from levitrio.cli.top.actions import Intent
from levitrio.cli.top.app import TopApp
from levitrio.cli.top.poller import (
    CommandFinished,
    ConnectionLost,
    EngineDetails,
    Report,
    StatusPoller,
    StatusReceived,
)
from levitrio.cli.top.table import EngineTable
from levitrio.control.answers import History
from tests.cli.top.documents import document, row
from tests.control.serving import private_directory


@attrs.define(eq=False)
class FakePoller:
    """Stands for the thread: keeps what was asked for."""

    commands: list[tuple[str, str | None]] = attrs.field(factory=list)
    details: list[str] = attrs.field(factory=list)

    def start(self) -> None:
        pass

    def close(self) -> None:
        pass

    def command(self, intent: Intent) -> None:
        self.commands.append((intent.action.verb, intent.symbol))

    def request_details(self, symbol: str, _: str) -> None:
        self.details.append(symbol)


@attrs.define(eq=False)
class Screen:
    """A terminal that a test looks at."""

    pilot: Pilot[None]
    poller: FakePoller
    app: TopApp

    async def receive(self, report: Report) -> None:
        self.app._receive(report)
        await self.pilot.pause()

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    @property
    def lines(self) -> list[str]:
        strips = self.app.screen._compositor.render_strips()
        return [strip.text.rstrip() for strip in strips]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def symbol(self) -> str | None:
        return self.app.query_one(EngineTable).symbol


def watch(
    test: Callable[[Screen], Awaitable[None]],
    *,
    size: tuple[int, int] = (80, 24),
    read_only: bool = False,
) -> None:
    """Run `test` on a screen of this size."""

    async def run() -> None:
        poller = FakePoller()
        app = TopApp(lambda _: cast(StatusPoller, poller), read_only=read_only)
        async with app.run_test(size=size) as pilot:
            await test(Screen(pilot, poller, app))

    asyncio.run(run())


SOME = document(
    row("BTCUSDT", total_pnl="1"), row("ETHUSDT", total_pnl="3"), row("SOLUSDT", total_pnl="2")
)


def test_it_shows_sorts_and_filters() -> None:
    """At 80x24: head, table, keys; `>` sorts, `/` filters, escape shows all again."""

    async def test(screen: Screen) -> None:
        await screen.receive(StatusReceived(SOME))
        assert "demo  trading active  equity 10012.75  today +3.20" in screen.lines[0]
        assert screen.lines[1] == "3 engines  3 running"
        assert [line.split()[0] for line in screen.lines[3:6]] == ["BTCUSDT", "ETHUSDT", "SOLUSDT"]
        assert "q quit" in screen.lines[-2]
        assert screen.lines[-1].endswith("U unhalt")
        await screen.press("greater_than_sign", "greater_than_sign", "greater_than_sign")
        assert [line.split()[0] for line in screen.lines[3:6]] == ["ETHUSDT", "SOLUSDT", "BTCUSDT"]
        await screen.pilot.click("TableHead", offset=(2, 0))
        assert screen.lines[3].startswith("BTCUSDT")
        await screen.press("slash", "s", "o", "l", "enter")
        assert screen.lines[3].startswith("SOLUSDT")
        assert screen.lines[4] == ""
        assert screen.lines[1].endswith("filter sol shows 1")
        await screen.press("escape")
        assert screen.lines[5].startswith("SOLUSDT")

    watch(test)


def test_an_action_is_asked_about_and_follows_its_engine() -> None:
    """The cursor stays on its engine when the order changes; only `y` sends."""

    async def test(screen: Screen) -> None:
        await screen.receive(StatusReceived(SOME))
        await screen.press("down", "down")
        assert screen.symbol == "SOLUSDT"
        await screen.receive(
            StatusReceived(document(row("SOLUSDT", status="failed"), row("ETHUSDT")))
        )
        assert screen.symbol == "SOLUSDT"
        assert screen.lines[3].startswith("SOLUSDT")
        await screen.press("r")
        assert "Ends incarnation 1 of SOLUSDT" in screen.text
        await screen.press("n")
        await screen.press("r", "enter")
        assert screen.poller.commands == []
        await screen.press("r", "y")
        await screen.press("H")
        assert "HALTS THE WHOLE FLEET demo" in screen.text
        await screen.press("y")
        assert screen.poller.commands == [("restart", "SOLUSDT"), ("halt", None)]
        await screen.receive(CommandFinished("SOLUSDT: restarted", is_error=False))
        assert "SOLUSDT: restarted" in screen.text

    watch(test)


def test_read_only_has_no_action() -> None:
    """The keys do nothing, and are not offered."""

    async def test(screen: Screen) -> None:
        await screen.receive(StatusReceived(SOME))
        await screen.press(*"rpuxsRHU", "y")
        assert screen.poller.commands == []
        assert "read-only" in screen.lines[-1]
        assert "restart" not in screen.text

    watch(test, read_only=True)


def test_the_pane_shows_the_details_of_the_chosen_engine() -> None:
    """Facts, log lines and incidents; one that comes late for another engine is not shown."""

    async def test(screen: Screen) -> None:
        await screen.receive(StatusReceived(SOME))
        await screen.press("down", "enter")
        assert screen.poller.details[-1] == "ETHUSDT"
        assert "strategy" in screen.text
        record = {"ts": "t", "symbol": "ETHUSDT", "event": "fill", "text": "[bold]sold\x1b"}
        incident = {"cause": "crash", "error": "ValueError: no", "traceback": "Trace"}
        history = cast(History, {"symbol": "ETHUSDT", "incidents": [incident]})
        await screen.receive(EngineDetails("BTCUSDT", history, []))
        assert "ValueError" not in screen.text
        await screen.receive(EngineDetails("ETHUSDT", history, [record]))
        assert "ETHUSDT fill [bold]sold\\x1b" in screen.text
        assert "crash: ValueError: no" in screen.text
        await screen.press("escape")
        assert "ValueError" not in screen.text

    watch(test, size=(160, 50))


def test_a_fleet_that_goes_away_is_waited_for() -> None:
    """The last table stays, dimmed; nothing is sent; it comes back."""

    async def test(screen: Screen) -> None:
        await screen.press("r")  # before the first answer
        await screen.receive(StatusReceived(SOME))
        await screen.receive(ConnectionLost("no fleet answers at /x"))
        assert "NO FLEET, RETRYING" in screen.lines[0]
        assert screen.lines[3].startswith("BTCUSDT")
        strip = screen.app.query_one(EngineTable).render_line(1)
        assert all(segment.style and segment.style.dim for segment in strip)
        await screen.press("r")
        assert "no fleet answers" in screen.text
        await screen.receive(StatusReceived(SOME))
        assert "the fleet is back" in screen.text
        await screen.press("r")
        assert "Ends incarnation" in screen.text

    watch(test)


def test_a_thousand_engines_at_any_size() -> None:
    """Only what is to be seen is drawn; the cursor reaches the end; a small terminal is fine."""

    async def test(screen: Screen) -> None:
        await screen.receive(StatusReceived(document(*(row(f"S{n:04}USDT") for n in range(1000)))))
        await screen.press("end")
        assert screen.symbol == "S0999USDT"
        assert "S0999USDT" in screen.text
        for size in ((20, 5), (300, 100)):
            await screen.pilot.resize_terminal(*size)
            await screen.pilot.pause()
        assert screen.symbol == "S0999USDT"
        await screen.press("home")
        assert "S0000USDT" in screen.text

    watch(test)


def test_what_can_be_said_in_a_line_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No extra, no terminal, no fleet: exit 2, 2 and 4, and what to type."""
    with private_directory() as path:
        monkeypatch.setenv("HOME", str(path))
        monkeypatch.delenv("LEVI_SOCKET", raising=False)
        assert main(["ctl", "top"]) == 2
        assert "needs a terminal" in capsys.readouterr().err
        pretend_terminal(monkeypatch)
        assert main(["ctl", "top"]) == 4
        assert capsys.readouterr().err.endswith("; type: levi run fleet.toml\n")
        assert main(["ctl", "top", "--socket", str(Path("/nowhere/s"))]) == 4
        monkeypatch.setenv("TERM", "dumb")
        assert main(["ctl", "top"]) == 2
        monkeypatch.setattr("levitrio.cli.top.command.find_spec", lambda _: None)
        capsys.readouterr()
        assert main(["ctl", "top"]) == 2
        assert "pip install 'levitrio[tui]'" in capsys.readouterr().err


def pretend_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ends of the terminal look like one."""

    def yes(*_: Any) -> bool:
        return True

    monkeypatch.setattr("sys.stdout.isatty", yes, raising=False)
    monkeypatch.setattr("sys.stdin.isatty", yes, raising=False)
    monkeypatch.setenv("TERM", "xterm")
