"""The filter of the live view: what is typed after `/`, as a question about engines. Pure."""

from fnmatch import fnmatchcase

import attrs

from levitrio.cli.status import STATES
from levitrio.control.status_document import EngineStatus


@attrs.frozen
class Filter:
    """Words as people type them: `sol`, `BTC*`, `failed`, `eth crashed`.

    A word that is a state asks for the status, any other for the symbol: as a glob where it has
    one of `*?[`, else as a part. Of several words of one kind any will do; both kinds must fit.
    """

    states: frozenset[str] = frozenset()
    symbols: tuple[str, ...] = ()

    @classmethod
    def of(cls, text: str) -> "Filter":
        """Never refuses: whatever is typed is looked for."""
        words = text.split()
        states = frozenset(word.lower() for word in words if word.lower() in STATES)
        parts = [word.upper() for word in words if word.lower() not in STATES]
        return cls(states, tuple(part.replace("/", "").replace("-", "") for part in parts))

    def fits(self, row: EngineStatus) -> bool:
        """Whether an engine is shown."""
        if self.states and row.get("status") not in self.states:
            return False
        symbol = str(row.get("symbol", ""))
        return not self.symbols or any(_fits(symbol, word) for word in self.symbols)


def _fits(symbol: str, word: str) -> bool:
    return fnmatchcase(symbol, word) if any(c in word for c in "*?[") else word in symbol
