"""What the feed refused, dropped and missed: counted by reason, and reported without a flood."""

from collections.abc import Callable

from levitrio.trading.market import Trade
from levitrio.venues.binance.checks import Reason
from levitrio.venues.binance.sequence import RESTARTED
from levitrio.venues.binance.wire import Refused

OnEvent = Callable[[str, str], None]
"""Kind and text, for the fleet's event log."""


class Tally:
    """Counters of one feed. Nothing that came is lost without being counted here."""

    def __init__(self, on_event: OnEvent) -> None:
        self.dropped: dict[str, int] = {}
        """Events by `Reason`."""
        self.gaps = 0
        """Places where trade ids jumped."""
        self.missing_trades = 0
        """Ids that were jumped over."""
        self._on_event = on_event

    def drop(self, reason: Reason) -> int:
        """Count an event that is delivered to nobody; returns how many so far."""
        count = self.dropped.get(reason.value, 0) + 1
        self.dropped[reason.value] = count
        return count

    def refuse(self, refused: Refused) -> None:
        """Count unsound input, and report the first, the tenth, the hundredth of its reason."""
        count = self.drop(refused.reason)
        if _is_power_of_ten(count):
            whose = refused.symbol or "no symbol"
            self._on_event("feed_refused", f"{whose}: {refused.reason}, {count} times so far")

    def miss(self, trade: Trade, missing: int) -> None:
        """Count and report what is missing before a trade, or that its ids begin anew."""
        if missing == RESTARTED:
            text = f"{trade.symbol}: trade ids begin anew at {trade.trade_id}"
            self._on_event("feed_restarted", text)
            return
        self.gaps += 1
        self.missing_trades += missing
        text = f"{trade.symbol}: {missing} trades are missing before id {trade.trade_id}"
        self._on_event("feed_gap", text)


def _is_power_of_ten(count: int) -> bool:
    while count % 10 == 0:
        count //= 10
    return count == 1
