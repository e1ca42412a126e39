"""What the feed refused, dropped and missed: counted by reason, and reported without a flood."""

from typing import Protocol

from levitrio.trading.market import Trade, utc
from levitrio.venues.binance.market_data.sequence import RESTARTED
from levitrio.venues.binance.market_data.validation import RejectReason


class OnFeedEvent(Protocol):
    """The fleet's event log, as the feed sees it."""

    def __call__(self, kind: str, text: str, /, *, engine: str | None = None) -> None:
        """One line; `engine` is the symbol it is about, when it is about one. Must not raise."""


class FeedCounters:
    """Counters of one feed. Nothing that came is lost without being counted here."""

    def __init__(self, on_event: OnFeedEvent) -> None:
        self.dropped: dict[str, int] = {}
        """Events by `Reason`."""
        self.gaps = 0
        """Places where trade ids jumped."""
        self.missing_trades = 0
        """Ids that were jumped over."""
        self.missing_bars = 0
        """Closed bars that did not come by themselves."""
        self._on_event = on_event

    def tell(self, kind: str, text: str, symbol: str | None = None) -> None:
        """One line of the event log."""
        if symbol is None:
            self._on_event(kind, text)
        else:
            self._on_event(kind, text, engine=symbol)

    def drop(self, reason: RejectReason) -> int:
        """Count an event that is not delivered; return how many so far."""
        count = self.dropped.get(reason.value, 0) + 1
        self.dropped[reason.value] = count
        return count

    def refuse(self, reason: RejectReason, symbol: str | None) -> None:
        """Count unsound input, and report the first, the tenth, the hundredth of its reason."""
        count = self.drop(reason)
        if _is_power_of_ten(count):
            whose = symbol or "no symbol"
            self.tell("feed_refused", f"{whose}: {reason}, {count} times so far", symbol)

    def miss(self, trade: Trade, missing: int) -> None:
        """Count and report what is missing before a trade, or that its ids begin anew."""
        if missing == RESTARTED:
            self.restarted(trade.symbol, "trade ids", trade.trade_id)
            return
        self.gaps += 1
        self.missing_trades += missing
        text = f"{trade.symbol}: {missing} trades are missing before id {trade.trade_id}"
        self.tell("feed_gap", text, trade.symbol)

    def restarted(self, symbol: str, what: str, first: int) -> None:
        """Report that the venue counts from a lower number again."""
        self.tell("feed_restarted", f"{symbol}: {what} begin anew at {first}", symbol)

    def miss_bars(self, symbol: str, interval: str, missing: int, open_time_ms: int) -> None:
        """Count and report closed bars that are missing before the one that opened then."""
        self.missing_bars += missing
        text = (
            f"{symbol}: {missing} bars of {interval} are missing before"
            f" {utc(open_time_ms):%Y-%m-%d %H:%M:%S}"
        )
        self.tell("feed_gap", text, symbol)


def _is_power_of_ten(count: int) -> bool:
    while count % 10 == 0:
        count //= 10
    return count == 1
