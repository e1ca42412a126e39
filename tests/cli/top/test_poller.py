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
    Report,
    StatusPoller,
    StatusReceived,
)
from tests.control.fakes import FakeFleet
from tests.control.serving import Recorder, private_directory, serving

BY = {action.verb: action for action in ACTIONS}


async def test_it_looks_commands_and_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Obeyed, refused in words with the next command, and the details of one engine."""
    reports: queue.SimpleQueue[Report] = queue.SimpleQueue()
    take = partial(trio.to_thread.run_sync, partial(reports.get, timeout=10))
    fleet = FakeFleet({"BTCUSDT": "running", "SOLUSDT": "running"}, failed={"SOLUSDT"})
    monkeypatch.setattr("levitrio.cli.top.poller.INTERVAL", 0.01)
    monkeypatch.setattr("levitrio.cli.top.poller.retry_after", lambda _: 0.02)
    with private_directory() as path:
        poller = StatusPoller(str(path / "demo.sock"), reports.put)

        async def next_report() -> Report:
            while isinstance(report := await take(), StatusReceived):
                pass
            return report

        with trio.fail_after(10):
            async with serving(fleet, path / "demo.sock", Recorder()):
                poller.start()
                first = await take()
                assert isinstance(first, StatusReceived)
                assert first.document["fleet"] == "demo"
                poller.command(Intent(action=BY["restart"], symbol="BTCUSDT"))
                assert await next_report() == CommandFinished("BTCUSDT: restarted", is_error=False)
                poller.command(Intent(action=BY["restart"], symbol="SOLUSDT"))
                text = "SOLUSDT is refused: it was given up; levi ctl reset SOLUSDT"
                assert await next_report() == CommandFinished(text, is_error=True)
                poller.command(Intent(action=BY["halt"], symbol=None))
                assert await next_report() == CommandFinished("trading is halted", is_error=False)
                poller.request_details("SOLUSDT", str(Path("/nowhere")))
                details = await next_report()
                assert isinstance(details, EngineDetails)
                assert not isinstance(details.history, str)
                assert details.history["incidents"][0]["cause"] == "crash"
                assert details.records == []
            gone = await next_report()
            assert isinstance(gone, ConnectionLost)
            poller.command(Intent(action=BY["stop"], symbol="BTCUSDT"))
            while isinstance(refused := await next_report(), ConnectionLost):
                pass
            assert refused == CommandFinished("no fleet answers; nothing was sent", is_error=True)
            async with serving(fleet, path / "demo.sock", Recorder()):
                while not isinstance(await take(), StatusReceived):
                    pass
            poller.close()
    assert [verb for verb, *_ in fleet.commands] == ["restart", "restart", "halt"]
