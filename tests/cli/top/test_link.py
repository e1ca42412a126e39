"""The thread of the live view, against a real socket."""

import queue
from functools import partial
from pathlib import Path

import pytest
import trio

from levitrio.cli.top.actions import ACTIONS, Intent
from levitrio.cli.top.link import Link, Lost, News, Seen, Story, Told
from tests.control.fakes import FakeFleet
from tests.control.serving import Recorder, private_directory, serving

BY = {action.verb: action for action in ACTIONS}


async def test_it_looks_commands_and_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Obeyed, refused in words with the next command, and the story of one engine."""
    heard: queue.SimpleQueue[News] = queue.SimpleQueue()
    take = partial(trio.to_thread.run_sync, partial(heard.get, timeout=10))
    fleet = FakeFleet({"BTCUSDT": "running", "SOLUSDT": "running"}, failed={"SOLUSDT"})
    monkeypatch.setattr("levitrio.cli.top.link.INTERVAL", 0.01)
    monkeypatch.setattr("levitrio.cli.top.link.retry_after", lambda _: 0.02)
    with private_directory() as path:
        link = Link(str(path / "demo.sock"), heard.put)

        async def told() -> News:
            while isinstance(news := await take(), Seen):
                pass
            return news

        with trio.fail_after(10):
            async with serving(fleet, path / "demo.sock", Recorder()):
                link.start()
                first = await take()
                assert isinstance(first, Seen)
                assert first.document["fleet"] == "demo"
                link.command(Intent(action=BY["restart"], symbol="BTCUSDT"))
                assert await told() == Told("BTCUSDT: restarted", is_error=False)
                link.command(Intent(action=BY["restart"], symbol="SOLUSDT"))
                text = "SOLUSDT is refused: it was given up; levi ctl reset SOLUSDT"
                assert await told() == Told(text, is_error=True)
                link.command(Intent(action=BY["halt"], symbol=None))
                assert await told() == Told("trading is halted", is_error=False)
                link.fetch_story("SOLUSDT", str(Path("/nowhere")))
                story = await told()
                assert isinstance(story, Story)
                assert story.history["incidents"][0]["cause"] == "crash"
                assert story.records == []
            gone = await told()
            assert isinstance(gone, Lost)
            link.command(Intent(action=BY["stop"], symbol="BTCUSDT"))
            while isinstance(refused := await told(), Lost):
                pass
            assert refused == Told("no fleet answers; nothing was sent", is_error=True)
            async with serving(fleet, path / "demo.sock", Recorder()):
                while not isinstance(await take(), Seen):
                    pass
            link.close()
    assert [verb for verb, *_ in fleet.commands] == ["restart", "restart", "halt"]
