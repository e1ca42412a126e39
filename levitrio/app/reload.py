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
"""What to do with the open position of an engine that is no longer in fleet.toml."""


@attrs.define(eq=False, kw_only=True)
class Reloader:
    """Reads fleet.toml again and applies it. A changed strategy module needs a new start."""

    assembly: Assembly

    def read(self) -> tuple[FleetConfig, ConfigDiff]:
        """Read fleet.toml; returns its config and what it changes.

        Raises:
            ControlError: The file is bad; the text names every problem. Nothing was changed.
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
        """Symbols of removed engines that hold a position or have an order under way."""
        return [symbol for symbol in changes.removed if self.assembly.symbol_states[symbol].holds]

    async def apply(self, config: FleetConfig, changes: ConfigDiff, positions: Positions) -> None:
        """Put the new config in force.

        Raises:
            ControlError: A removed engine holds a position and `positions` is `refuse`, a model
                cannot be read, or an address of `[alerts]` is unknown. Nothing was changed.
        """
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
                # The check found it sound when the file was read: it was written to since.
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
        # An engine is added before those that start after it. All moved ones are removed by now,
        # so that old and new start order cannot form a cycle.
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
        """Open the addresses of `[alerts]`; None when they have not changed."""
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
        """Remove a child whose start order changes; returns its wanted state and why it failed."""
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
            return  # its start order changed: it is added again with the new config
        if child.wanted is not Wanted.STOPPED and child.state is not State.FAILED:
            await supervisor.restart(symbol)


def _in_start_order(config: FleetConfig, symbols: list[str]) -> list[str]:
    """Sort symbols so that each follows those it starts after. The file has no cycle."""
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
