"""`levi record`: writes what the feed of a fleet receives to a recording."""

import random
import signal
import sys
import time
from pathlib import Path

import trio

from levitrio.app import settings
from levitrio.app.wiring.venue import BINANCE_STREAMS
from levitrio.cli import terminal
from levitrio.config.sections import FleetConfig
from levitrio.venues.binance.market_data.backfill import RestBackfill
from levitrio.venues.binance.market_data.feed import BinanceFeed
from levitrio.venues.binance.rest import RestClient, rest_url
from levitrio.venues.recordings.writer import RecorderStatistics, RecordingWriter
from levitrio.venues.simulator.server.simulator import Simulator

PROGRESS_PERIOD = 1.0
"""Seconds between two lines of progress on a terminal."""


def record(config: FleetConfig, *, out: Path, seconds: float | None = None) -> int:
    """Record until SIGINT or SIGTERM, until the tape ends, or for `seconds`.

    Only symbols, streams and feed of the fleet are used; no engine runs, nothing is journaled.

    Returns:
        The exit code: 0, or 1 when frames were dropped.

    Raises:
        UsageError: The file exists.
    """
    with RecordingWriter(out, clock_ns=time.time_ns) as recorder:
        trio.run(_Recording(config, recorder).main, seconds)
    statistics = recorder.statistics()
    terminal.write(f"{out}: {_describe(statistics)}")
    if statistics.dropped:
        terminal.complain(f"{statistics.dropped} frames were dropped: the disk was too slow", "")
        return 1
    return 0


class _Recording:
    """A feed without engines, with a recorder on its raw frames."""

    def __init__(self, config: FleetConfig, recorder: RecordingWriter) -> None:
        self._config = config
        self._recorder = recorder

    async def main(self, seconds: float | None) -> None:
        # Ctrl-C inside a nursery would come out as an exception group; so wait for the signal.
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._run, nursery.cancel_scope)
                with trio.move_on_after(float("inf") if seconds is None else seconds):
                    await signals.__anext__()
                nursery.cancel_scope.cancel()

    async def _run(self, scope: trio.CancelScope) -> None:
        config = self._config
        async with trio.open_nursery() as nursery:
            await nursery.start(self._recorder.run)
            url = config.feed.url or BINANCE_STREAMS
            simulator = self._make_simulator()
            if simulator is not None:
                url = await nursery.start(simulator.run)
            nursery.start_soon(self._show_progress)
            await nursery.start(self._make_feed(url).run)
            if simulator is not None:
                await simulator.ended.wait()
                await trio.sleep(PROGRESS_PERIOD)  # the last frames are still on their way
                scope.cancel()

    def _make_simulator(self) -> Simulator | None:
        simulator = self._config.simulator
        if simulator is None:
            return None
        return Simulator(
            seed=simulator.seed,
            speed=simulator.speed,
            recordings=simulator.recording,
            port=simulator.port,
            expected_streams=settings.expected_streams(self._config),
            wall_clock=time.time,
            on_event=_report,
        )

    def _make_feed(self, url: str) -> BinanceFeed:
        feed = self._config.feed
        made = BinanceFeed(
            url,
            streams=feed.streams,
            symbols_per_connection=feed.symbols_per_connection,
            backoff=settings.feed_backoff(self._config),
            chance=random.random,
            on_event=_report,
            wall_clock=time.time if feed.kind == "binance" else None,
            backfill=RestBackfill(RestClient(rest_url(url)), on_snapshot=self._recorder.take),
            stale_after=feed.stale_after,
            tap=self._recorder.take,
            reader=feed.reader,
        )
        for symbol in self._config.engines:
            made.add(symbol, _ignore)
        return made

    async def _show_progress(self) -> None:
        if not sys.stderr.isatty():
            return
        while True:
            await trio.sleep(PROGRESS_PERIOD)
            sys.stderr.write(f"\r\x1b[K{_describe(self._recorder.statistics())}")
            sys.stderr.flush()


def _describe(statistics: RecorderStatistics) -> str:
    return f"{statistics.frames} frames, {statistics.bytes / 1e6:.1f} MB"


def _report(kind: str, text: str, /, **_: object) -> None:
    lead = "\r\x1b[K" if sys.stderr.isatty() else ""
    sys.stderr.write(f"{lead}{kind}: {terminal.neutral(text)}\n")


def _ignore(event: object) -> None:
    """Engines do not run while recording."""
