"""Selects the engines of a request: symbols in any spelling, globs, or all."""

import re
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from levitrio.control import error_codes
from levitrio.control.protocol import printable
from levitrio.errors import ControlError
from levitrio.trading.market import normalize_symbol

_GLOB = re.compile(r"[A-Z0-9._*?\[\]!-]{1,64}\Z")
_MAX_COMPARED = 500
"""Symbols a misspelt one is compared with; each comparison holds the loop for about 10 us."""


class UnknownSymbol(ControlError):
    """A symbol or glob that matches no engine of this fleet; `suggestions` may be empty."""

    def __init__(self, text: str, suggestions: Sequence[str]) -> None:
        hint = f"did you mean {' or '.join(suggestions)}?" if suggestions else ""
        super().__init__(error_codes.UNKNOWN_SYMBOL, f"unknown symbol {printable(text, 64)}", hint)
        self.symbol = text
        self.suggestions = tuple(suggestions)


def select(patterns: Sequence[str], known: Collection[str], *, all_of_them: bool) -> list[str]:
    """The selected symbols, each once, in the order of the patterns.

    Raises:
        UnknownSymbol: A pattern matches no engine.
        ControlError: A pattern cannot be a symbol, or nothing is selected.
    """
    if all_of_them:
        if patterns:
            raise ControlError(error_codes.INVALID_PARAMS, "symbols: expected none beside all")
        return list(known)
    if not patterns:
        raise ControlError(error_codes.INVALID_PARAMS, "symbols: expected a symbol, a glob, or all")
    chosen: dict[str, None] = {}
    for pattern in patterns:
        chosen.update(dict.fromkeys(_matching(pattern, known)))
    return list(chosen)


def _matching(pattern: str, known: Collection[str]) -> list[str]:
    if any(sign in pattern for sign in "*?["):
        glob = pattern.upper().replace("/", "")
        if "[" not in glob:  # inside brackets a dash is a range
            glob = glob.replace("-", "")
        if not pattern.isascii() or not _GLOB.match(glob):
            raise _not_a_symbol(pattern)
        matches = [symbol for symbol in known if fnmatchcase(symbol, glob)]
        if not matches:
            raise UnknownSymbol(pattern, ())
        return matches
    try:
        symbol = normalize_symbol(pattern)
    except ValueError:
        raise _not_a_symbol(pattern) from None
    if symbol not in known:
        raise UnknownSymbol(symbol, _suggestions(symbol, known))
    return [symbol]


def _not_a_symbol(text: str) -> ControlError:
    return ControlError(
        error_codes.INVALID_PARAMS,
        f"symbols: expected a symbol such as BTCUSDT or BTC/USDT, got '{printable(text, 64)}'",
    )


def _suggestions(symbol: str, known: Collection[str]) -> list[str]:
    near = [other for other in known if abs(len(other) - len(symbol)) <= 2]
    # Same first letter first: a typo in it is rare, and only the first 500 are compared.
    near.sort(key=lambda other: other[0] != symbol[0])
    return get_close_matches(symbol, near[:_MAX_COMPARED], n=3, cutoff=0.7)
