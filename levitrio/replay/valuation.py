"""Marks the positions of a replay and samples its equity curve."""

import attrs

from levitrio.app.assembly import Assembly
from levitrio.replay.data.tape import Tape
from levitrio.replay.equity_curve import EquityCurve
from levitrio.trading.market import Quote


@attrs.define(eq=False)
class Valuation:
    """Parses quotes only when money is counted, and samples equity on the curve's grid."""

    assembly: Assembly
    tape: Tape
    curve: EquityCurve
    first: dict[str, Quote] = attrs.field(factory=dict, init=False)
    """By symbol, the first quote that was read: where buying and holding would have begun."""
    start_ms: int = attrs.field(default=0, init=False)
    """Market time of the first event, ms since 1970; 0 before it."""
    next_sample_ms: int = attrs.field(default=0, init=False)
    """When equity is sampled next, in market ms."""

    def begin(self, now_ms: int) -> None:
        """Begin at the first event's market time, in ms since 1970."""
        self.start_ms = now_ms
        self.curve.start(now_ms)
        self.next_sample_ms = self.curve.next_ms(now_ms)

    def mark(self, *symbols: str) -> None:
        """Bring the quotes of these symbols, and of what is held, up to date."""
        symbol_states = self.assembly.symbol_states
        held = [symbol for symbol, state in symbol_states.items() if state.position.quantity]
        self.tape.mark(self.assembly.markets, {*held, *symbols})

    def mark_only(self, symbol: str) -> None:
        """Bring the quote of this symbol alone up to date."""
        self.tape.mark(self.assembly.markets, (symbol,))

    def mark_unseen(self) -> None:
        """Call `mark`, and read the first quote of symbols that had none yet."""
        self.mark(*(self.assembly.slots.keys() - self.first))

    def mark_all(self) -> None:
        """Bring the quotes of all symbols up to date."""
        self.mark(*self.assembly.slots)

    def sample(self, now_ms: int) -> None:
        """Add a point to the curve, just before market time `now_ms`; call `mark` first."""
        account = self.assembly.account
        for symbol in self.assembly.slots.keys() - self.first:
            if (quote := self.assembly.markets[symbol].quote) is not None:
                self.first[symbol] = quote
        self.curve.sample(now_ms, account.equity(), account.gross_notional())
        self.next_sample_ms = self.curve.next_ms(now_ms)
