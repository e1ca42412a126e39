"""The same recording through a running fleet and through replay."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair

from levitrio.app import settings
from levitrio.app.assembly import Assembly
from levitrio.app.fleet_run import FleetRun
from levitrio.app.wiring.environment import Environment
from levitrio.config.loader import load
from levitrio.config.sections import FleetConfig
from levitrio.gateway.gateway import Gateway
from levitrio.records.journal.journal import Journal
from levitrio.records.logs.event_log import EventLog
from levitrio.records.worker_threads import inline
from levitrio.replay.data.open_tape import open_tape
from levitrio.replay.report.compare import comparison
from levitrio.replay.run import Options, Replay
from levitrio.strategies.base import Signal
from levitrio.trading.orders import Fill
from levitrio.venues.simulator.server.simulator import Simulator
from tests.replay.files import DATA, ROOMY, head_of

EPOCH = 1_790_000_000.0

FLEET = f"""
[feed]
url = "ws://127.0.0.1:1"
{ROOMY}
[broker]
latency = 0.25
[engines.BTCUSDT]
params = {{ fast = 5, slow = 20 }}
[engines.ETHUSDT]
strategy = "breakout"
params = {{ lookback = 40 }}
"""

Heard = list[tuple[str, str]]


async def run_live(config: FleetConfig, paths: list[Path]) -> tuple[Fill, ...]:
    """The fills of a fleet on the simulator."""

    def wall_clock() -> float:
        return EPOCH + trio.current_time()

    config.fleet.data_dir.mkdir()
    journal = Journal(config.fleet.data_dir / "journal.db", offload=inline)
    history = journal.open()
    async with trio.open_nursery() as nursery:
        simulator = Simulator(
            recordings=paths,
            wall_clock=wall_clock,
            expected_streams=settings.expected_streams(config),
        )

        async def connect(host: str, port: int, tls: bool) -> trio.abc.Stream:
            ours, theirs = memory_stream_pair()
            nursery.start_soon(simulator.handle, theirs)
            return ours

        environment = Environment(
            wall_clock=wall_clock,
            chance=random.Random(7).random,
            offload=lambda: inline,
            open_stream=connect,
        )
        events = EventLog(wall_clock_ms=lambda: int(wall_clock() * 1000))
        assembly = Assembly(
            config, journal=journal, history=history, events=events, environment=environment
        )
        run = FleetRun(assembly=assembly, history=history, states={})
        nursery.start_soon(simulator.play)
        nursery.start_soon(run.run)
        await simulator.ended.wait()
        await trio.sleep(2)
        run.end(None)
        await trio.sleep(10)
        nursery.cancel_scope.cancel()
    journal.close()
    again = Journal(config.fleet.data_dir / "journal.db", offload=inline)
    fills = again.open().fills
    again.close()
    return fills


def tap(monkeypatch: pytest.MonkeyPatch) -> Heard:
    """A list that gets every signal an engine submits from now on."""
    heard: Heard = []
    admit = Gateway.admit

    def tapped(self: Gateway, symbol: str, incarnation: int) -> Callable[[Signal], None]:
        submit = admit(self, symbol, incarnation)

        def submit_and_note(signal: Signal) -> None:
            heard.append((symbol, signal.side))
            submit(signal)

        return submit_and_note

    monkeypatch.setattr(Gateway, "admit", tapped)
    return heard


@pytest.mark.skipif(not DATA.exists(), reason="the shared recordings are not beside the checkout")
async def test_the_same_signals_and_what_latency_changed(
    autojump_clock: MockClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each engine decides the same in the same order; the fills differ, and it is told by what."""
    file = tmp_path / "fleet.toml"
    file.write_text(FLEET)
    config = load(file)
    paths = [
        head_of("btcusdt_20240808.gz", 5_000, tmp_path),
        head_of("ethusdt_20240808.gz", 5_000, tmp_path),
    ]
    heard = tap(monkeypatch)
    fills = await run_live(config, paths)
    monkeypatch.undo()
    replayed: Heard = []
    replay = Replay(
        config,
        open_tape(config, [str(path) for path in paths]),
        Options(on_signal=lambda symbol, _, signal: replayed.append((symbol, signal.side))),
    )
    await trio.to_thread.run_sync(replay.run)
    for symbol in config.engines:
        mine = [side for name, side in replayed if name == symbol]
        assert len(mine) > 5
        assert [side for name, side in heard if name == symbol] == mine
    told = comparison(replay.replay_journal.fills, fills, journal="journal.db")
    assert told["matched"] > 10
    assert told["only_here"] + told["only_there"] <= told["matched"] / 4
    assert told["price_difference_bp"]["mean"] is not None
