"""The thread of the live view, against a real socket."""

import queue
from functools import partial
from pathlib import Path

import pytest
import trio

from levitrio.cli.top.actions import ACTIONS, Intent
from levitrio.cli.top.poller import (
    CommandFinished,
    ConnectionLost,
    EngineDetails,
    News,
    StatusPoller,
    StatusReceived,
)
from tests.control.fakes import FakeFleet
from tests.control.serving import Recorder, private_directory, serving

BY = {action.verb: action for action in ACTIONS}


async def test_it_looks_commands_and_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Obeyed, refused in words with the next command, and the story of one engine."""
    heard: queue.SimpleQueue[News] = queue.SimpleQueue()
    take = partial(trio.to_thread.run_sync, partial(heard.get, timeout=10))
    fleet = FakeFleet({"BTCUSDT": "running", "SOLUSDT": "running"}, failed={"SOLUSDT"})
    monkeypatch.setattr("levitrio.cli.top.poller.INTERVAL", 0.01)
    monkeypatch.setattr("levitrio.cli.top.poller.retry_after", lambda _: 0.02)
    with private_directory() as path:
        poller = StatusPoller(str(path / "demo.sock"), heard.put)

        async def told() -> News:
            while isinstance(news := await take(), StatusReceived):
                pass
            return news

        with trio.fail_after(10):
            async with serving(fleet, path / "demo.sock", Recorder()):
                poller.start()
                first = await take()
                assert isinstance(first, StatusReceived)
                assert first.document["fleet"] == "demo"
                poller.command(Intent(action=BY["restart"], symbol="BTCUSDT"))
                assert await told() == CommandFinished("BTCUSDT: restarted", is_error=False)
                poller.command(Intent(action=BY["restart"], symbol="SOLUSDT"))
                text = "SOLUSDT is refused: it was given up; levi ctl reset SOLUSDT"
                assert await told() == CommandFinished(text, is_error=True)
                poller.command(Intent(action=BY["halt"], symbol=None))
                assert await told() == CommandFinished("trading is halted", is_error=False)
                poller.fetch_story("SOLUSDT", str(Path("/nowhere")))
                story = await told()
                assert isinstance(story, EngineDetails)
                assert not isinstance(story.history, str)
                assert story.history["incidents"][0]["cause"] == "crash"
                assert story.records == []
            gone = await told()
            assert isinstance(gone, ConnectionLost)
            poller.command(Intent(action=BY["stop"], symbol="BTCUSDT"))
            while isinstance(refused := await told(), ConnectionLost):
                pass
            assert refused == CommandFinished("no fleet answers; nothing was sent", is_error=True)
            async with serving(fleet, path / "demo.sock", Recorder()):
                while not isinstance(await take(), StatusReceived):
                    pass
            poller.close()
    assert [verb for verb, *_ in fleet.commands] == ["restart", "restart", "halt"]
