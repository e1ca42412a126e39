"""Assembles the fleet of a replay as a live one is, with another environment."""

from collections.abc import Callable

import attrs

from levitrio.app.assembly import Assembly
from levitrio.app.engine_hooks import EngineHooks
from levitrio.app.wiring.environment import Environment
from levitrio.app.wiring.models import local_models
from levitrio.config.sections import FleetConfig
from levitrio.records.journal.entries import History
from levitrio.records.logs.event_log import EventLog
from levitrio.records.worker_threads import inline
from levitrio.replay.replay_journal import ReplayJournal
from levitrio.trading.clock import TapeClock


def assemble(
    config: FleetConfig,
    replay_journal: ReplayJournal,
    history: History,
    chance: Callable[[], float],
    market_clock: TapeClock,
    engine_hooks: EngineHooks,
) -> Assembly:
    """Build the same engines, gateway, risk and paper broker; the wall clock is the market's.

    Args:
        config: a checked fleet.toml; its simulator, feed and broker are replaced.
        replay_journal: stands before the journal and collects orders and fills for the report.
        history: what opening the journal returned: nothing.
        chance: random numbers in [0, 1), for the jitter before restarts.
        market_clock: the tape's time; the wall clock follows it.
        engine_hooks: counts signals, and collects fills for the engines.
    """

    def wall_clock() -> float:
        return market_clock.now_ms() / 1000

    return Assembly(
        attrs.evolve(
            config,
            simulator=None,
            feed=attrs.evolve(config.feed, kind="simulator", url=None),
            broker=attrs.evolve(config.broker, kind="paper"),
        ),
        journal=replay_journal.journal,
        history=history,
        events=EventLog(
            wall_clock_ms=lambda: int(wall_clock() * 1000), sinks=[replay_journal.see_event]
        ),
        environment=Environment(
            wall_clock=wall_clock,
            chance=chance,
            offload=lambda: inline,
            make_models=local_models,
        ),
        market_clock=market_clock,
        gateway_journal=replay_journal,
        gateway_report=_drop,
        engine_hooks=engine_hooks,
    )


def _drop(kind: str, text: str, *, engine: str | None = None, **data: object) -> None:
    """No reader follows the gateway's events in a replay; its report is made of the journal."""
