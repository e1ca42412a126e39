"""Put a changed fleet.toml in force without stopping what did not change."""

from functools import partial
from typing import Any, Literal

import attrs

from levitrio.app import settings
from levitrio.app.assembly import Assembly
from levitrio.app.wiring.alerts import alerts_on, open_sends
from levitrio.app.wiring.models import strategy_check
from levitrio.config.diff import ConfigDiff, difference
from levitrio.config.loader import load
from levitrio.config.sections import FleetConfig
from levitrio.control import error_codes
from levitrio.errors import ConfigError, ControlError, UsageError
from levitrio.records.alerts.channel import Send
from levitrio.supervision.lifecycle import State, Wanted

Positions = Literal["refuse", "flatten", "keep"]
"""What becomes of the position of an engine that is no longer in the file."""


@attrs.define(eq=False, kw_only=True)
class Reloader:
    """Reads the file again. Code is never imported again: a changed module needs a new start."""

    assembly: Assembly

    def read(self) -> tuple[FleetConfig, ConfigDiff]:
        """The file as it is now, and what it changes.

        Raises ControlError with every problem of a bad file; the fleet keeps the old one.
        """
        try:
            file = self.assembly.config.file
            config = load(file, check_strategy=strategy_check(file))
        except ConfigError as exc:
            raise ControlError(
                error_codes.INVALID_PARAMS,
                f"fleet.toml is refused as a whole, nothing was changed:\n{exc}",
                f"levi check {self.assembly.config.file}",
            ) from exc
        return config, difference(self.assembly.config, config)

    def holding(self, changes: ConfigDiff) -> list[str]:
        """Removed engines that hold a position, or are about to."""
        return [symbol for symbol in changes.removed if self.assembly.symbol_states[symbol].holds]

    async def apply(self, config: FleetConfig, changes: ConfigDiff, positions: Positions) -> None:
        """Carry the changes out. Raises ControlError, before anything, for a held position."""
        assembly = self.assembly
        holding = self.holding(changes)
        if holding and positions == "refuse":
            raise ControlError(
                error_codes.REFUSED,
                f"{', '.join(holding)} would be removed with an open position",
                "levi ctl reload --flatten, or --keep-position",
            )
        sends = await self._open_sends(config)
        for symbol in (*changes.added, *changes.changed):
            try:
                assembly.load_models(config.engines[symbol])
            except (UsageError, ValueError) as exc:
                # It was right when the file was read: somebody writes to it at this moment.
                raise ControlError(error_codes.REFUSED, f"nothing was changed: {exc}") from exc
        kept = {name: getattr(assembly.config, name) for name in changes.restart_needed}
        assembly.config = attrs.evolve(config, **kept)
        assembly.alerts.configure(alerts_on(assembly.config), sends)
        assembly.gateway.rules = settings.order_rules(assembly.config)
        assembly.supervisor.set_limits(
            policy=settings.restart_policy(assembly.config),
            health=settings.health_limits(assembly.config),
        )
        for symbol in changes.removed:
            await assembly.supervisor.remove(symbol)
            if positions == "flatten":
                assembly.gateway.flatten(symbol)
            assembly.remove_symbol(symbol)
        moved = [symbol for symbol in changes.changed if self._is_moved(config, symbol)]
        known = {symbol: await self._take_out(symbol) for symbol in moved}
        for symbol in changes.changed:
            await self._change(config, symbol)
        # Whoever others wait for comes first; all that moved are out, so there is no cycle.
        for symbol in _in_start_order(config, [*changes.added, *moved]):
            if symbol in known:
                wanted, failed = known[symbol]
                engine = config.engines[symbol]
                assembly.supervisor.add(
                    symbol, wanted=wanted, failed=failed, after=engine.after, group=engine.group
                )
            else:
                assembly.add_symbol(config.engines[symbol])
        text = ", ".join(
            f"{name} {' '.join(found)}"
            for name, found in attrs.asdict(changes).items()
            if found and name != "unchanged"
        )
        assembly.tell("reloaded", text or "nothing changed")

    async def _open_sends(self, config: FleetConfig) -> tuple[Send, ...] | None:
        """Ways to the addresses of `[alerts]`; None when they are those of before."""
        old, new = self.assembly.config.alerts, config.alerts
        if (old.urls if old else ()) == (new.urls if new else ()):
            return None
        try:
            return await self.assembly.environment.outbox()(partial(open_sends, config))
        except UsageError as exc:
            raise ControlError(error_codes.REFUSED, f"nothing was changed: {exc}") from exc

    def _is_moved(self, config: FleetConfig, symbol: str) -> bool:
        old, new = self.assembly.slots[symbol].config, config.engines[symbol]
        return (old.after, old.group) != (new.after, new.group)

    async def _take_out(self, symbol: str) -> tuple[Wanted, str | None]:
        """End a child for its new place in the start order; what is wanted of it is kept."""
        child = self.assembly.supervisor.children[symbol]
        known = child.wanted, child.failed
        await self.assembly.supervisor.remove(symbol)
        return known

    async def _change(self, config: FleetConfig, symbol: str) -> None:
        assembly = self.assembly
        slot, supervisor = assembly.slots[symbol], assembly.supervisor
        old, new = slot.config, config.engines[symbol]
        slot.config = new
        slot.symbol_state.signals_only = new.signals_only
        if new.inbox != old.inbox:
            slot.inbox.resize(new.inbox)
        child = supervisor.children.get(symbol)
        if child is None:
            return  # it moved, and begins anew in its new place
        if child.wanted is not Wanted.STOPPED and child.state is not State.FAILED:
            await supervisor.restart(symbol)


def _in_start_order(config: FleetConfig, symbols: list[str]) -> list[str]:
    """The same symbols, each behind those of them it starts after. The file has no cycle."""
    ordered: dict[str, None] = {}

    def visit(symbol: str) -> None:
        for other in config.engines[symbol].after:
            if other in symbols and other not in ordered:
                visit(other)
        ordered[symbol] = None

    for symbol in symbols:
        visit(symbol)
    return list(ordered)


def describe(changes: ConfigDiff, *, dry_run: bool, holding: list[str]) -> dict[str, Any]:
    """The answer to `levi ctl reload`."""
    return {
        "ok": True,
        "dry_run": dry_run,
        **{name: list(found) for name, found in attrs.asdict(changes).items()},
        "open_positions": holding,
    }
