"""What everything is worth while the tape runs: quotes when money is counted, and the curve."""

import attrs

from levitrio.app.assembly import Assembly
from levitrio.replay.data.tape import Tape
from levitrio.replay.equity_curve import EquityCurve
from levitrio.trading.market import Quote


@attrs.define(eq=False)
class Valuation:
    """Reads quotes late, and samples equity on the curve's grid."""

    assembly: Assembly
    tape: Tape
    curve: EquityCurve
    first: dict[str, Quote] = attrs.field(factory=dict, init=False)
    """Symbol -> the first quote that was looked at: where holding would have begun."""
    start_ms: int = attrs.field(default=0, init=False)
    """Market time of the first event, ms since 1970; 0 before it."""
    next_sample_ms: int = attrs.field(default=0, init=False)
    """When equity is looked at next, in market ms."""

    def begin(self, now_ms: int) -> None:
        """The first event is at that market time."""
        self.start_ms = now_ms
        self.curve.start(now_ms)
        self.next_sample_ms = self.curve.next_ms(now_ms)

    def mark(self, *symbols: str) -> None:
        """Bring the quotes of these symbols, and of what is held, up to date."""
        symbol_states = self.assembly.symbol_states
        held = [symbol for symbol, state in symbol_states.items() if state.position.quantity]
        self.tape.mark(self.assembly.markets, {*held, *symbols})

    def mark_only(self, symbol: str) -> None:
        """Bring the quote of this symbol up to date, of no other."""
        self.tape.mark(self.assembly.markets, (symbol,))

    def mark_unseen(self) -> None:
        """`mark`, and look for the first quote of symbols that had none yet."""
        self.mark(*(self.assembly.slots.keys() - self.first))

    def mark_all(self) -> None:
        """`mark` every symbol."""
        self.mark(*self.assembly.slots)

    def sample(self, now_ms: int) -> None:
        """One point of the curve, just before market time `now_ms`; `mark` first."""
        account = self.assembly.account
        for symbol in self.assembly.slots.keys() - self.first:
            if (quote := self.assembly.markets[symbol].quote) is not None:
                self.first[symbol] = quote
        self.curve.sample(now_ms, account.equity(), account.gross_notional())
        self.next_sample_ms = self.curve.next_ms(now_ms)
