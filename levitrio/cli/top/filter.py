"""The filter of the live view, typed after `/`. Pure."""

from fnmatch import fnmatchcase

import attrs

from levitrio.cli.status import STATES
from levitrio.control.status_document import EngineStatus


@attrs.frozen
class Filter:
    """Words such as `sol`, `BTC*`, `failed`, `eth crashed`.

    A word that is a state matches the status; any other matches the symbol, as a glob where it
    has one of `*?[`, else as a part. One word of each kind that is used must match.
    """

    states: frozenset[str] = frozenset()
    symbols: tuple[str, ...] = ()

    @classmethod
    def of(cls, text: str) -> "Filter":
        """Parse a filter; every text is one."""
        words = text.split()
        states = frozenset(word.lower() for word in words if word.lower() in STATES)
        parts = [word.upper() for word in words if word.lower() not in STATES]
        return cls(states, tuple(part.replace("/", "").replace("-", "") for part in parts))

    def matches(self, row: EngineStatus) -> bool:
        """Whether an engine matches."""
        if self.states and row.get("status") not in self.states:
            return False
        symbol = str(row.get("symbol", ""))
        return not self.symbols or any(_matches(symbol, word) for word in self.symbols)


def _matches(symbol: str, word: str) -> bool:
    return fnmatchcase(symbol, word) if any(c in word for c in "*?[") else word in symbol
