"""Compares two fleet.toml files: what a reload would change in a running fleet. Pure."""

import attrs

from levitrio.config.sections import FleetConfig

APPLIED = ("risk", "recovery", "health", "alerts")
"""Sections that a reload puts in force."""

NEEDS_RESTART = ("fleet", "simulator", "feed", "broker", "control", "http", "models", "groups")
"""Sections that are read at start only, because open sockets, files and money depend on them."""


@attrs.frozen(kw_only=True)
class ConfigDiff:
    """The difference between two fleet files, by symbol and by section."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    """Engines with new settings: each is restarted at once."""
    unchanged: tuple[str, ...] = ()
    """Engines that go on running."""
    sections: tuple[str, ...] = ()
    """Changed sections that are put in force without restarting an engine."""
    restart_needed: tuple[str, ...] = ()
    """Changed sections that stay as they were until the fleet is started again."""

    @property
    def is_empty(self) -> bool:
        """Whether the two files mean the same."""
        return not (
            self.added or self.removed or self.changed or self.sections or self.restart_needed
        )


def difference(old: FleetConfig, new: FleetConfig) -> ConfigDiff:
    """Compare the values of two files, not their spelling; symbols in the order of the files."""
    common = [symbol for symbol in old.engines if symbol in new.engines]
    changed = [symbol for symbol in common if old.engines[symbol] != new.engines[symbol]]
    return ConfigDiff(
        added=tuple(symbol for symbol in new.engines if symbol not in old.engines),
        removed=tuple(symbol for symbol in old.engines if symbol not in new.engines),
        changed=tuple(changed),
        unchanged=tuple(symbol for symbol in common if symbol not in changed),
        sections=_differing(old, new, APPLIED),
        restart_needed=_differing(old, new, NEEDS_RESTART),
    )


def _differing(old: FleetConfig, new: FleetConfig, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if getattr(old, name) != getattr(new, name))
