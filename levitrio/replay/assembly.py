"""The fleet that is replayed: assembled as a live one is, with other seams."""

from collections.abc import Callable

import attrs

from levitrio.app.assembly import Assembly
from levitrio.app.wiring.environment import Environment
from levitrio.app.wiring.models import local_models
from levitrio.config.sections import FleetConfig
from levitrio.records.journal.entries import History
from levitrio.records.logs.event_log import EventLog
from levitrio.records.worker_threads import inline
from levitrio.replay.replay_journal import ReplayJournal


def assemble(
    config: FleetConfig,
    replay_journal: ReplayJournal,
    history: History,
    chance: Callable[[], float],
) -> Assembly:
    """The same engines, gateway, risk and paper broker; the wall clock is the market's."""
    market: list[Assembly] = []

    def wall_clock() -> float:
        return market[0].market_clock.now_ms() / 1000 if market else 0.0

    assembly = Assembly(
        attrs.evolve(
            config,
            simulator=None,
            feed=attrs.evolve(config.feed, kind="simulator", url=None),
            broker=attrs.evolve(config.broker, kind="paper"),
        ),
        journal=replay_journal.journal,
        history=history,
        events=EventLog(
            wall_clock_ms=lambda: int(wall_clock() * 1000), sinks=[replay_journal.hear_of_members]
        ),
        environment=Environment(
            wall_clock=wall_clock,
            chance=chance,
            offload=lambda: inline,
            make_models=local_models,
        ),
    )
    market.append(assembly)
    gateway = assembly.gateway
    # The ledger is the journal, and remembers besides what the report will tell.
    gateway.journal = gateway.execution.journal = gateway.control.journal = replay_journal
    # No reader follows the events of a replay's gateway.
    context = attrs.evolve(gateway.context, report=_tell_nobody, report_fills=False)
    gateway.context = gateway.execution.context = gateway.control.context = context
    gateway.loss_limiter.context = context
    return assembly


def _tell_nobody(kind: str, text: str, *, engine: str | None = None, **data: object) -> None:
    pass
