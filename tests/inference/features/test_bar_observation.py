"""From trades, quotes and bars to observations."""

from levitrio.inference.features.bar_observation import BarObserver, spread_of
from levitrio.trading.market import Quote
from tests.factories import make_bar, make_trade
from tests.inference.model_files import MINUTE


def test_flow_is_counted_to_the_bar_of_its_own_time() -> None:
    """Trades of the next bar may come before the closing message of this one."""
    bar_observer = BarObserver(interval_ms=MINUTE)
    bar_observer.see_trade(make_trade(quantity=3.0, time_ms=1))
    bar_observer.see_trade(make_trade(quantity=1.0, time_ms=2, is_sale=True))
    bar_observer.see_trade(make_trade(quantity=5.0, time_ms=MINUTE, is_sale=True))
    assert bar_observer.close(make_bar(0, trades=2)).imbalance == 0.5
    assert bar_observer.close(make_bar(1, trades=1)).imbalance == -1.0


def test_a_bar_that_was_only_partly_seen_has_no_flow() -> None:
    """Who came in the middle of a bar does not know who bought in it."""
    bar_observer = BarObserver(interval_ms=MINUTE)
    bar_observer.see_trade(make_trade(time_ms=59_000))
    assert bar_observer.close(make_bar(0, trades=100)).imbalance is None
    assert bar_observer.close(make_bar(1, trades=100)).imbalance is None


def test_flow_that_is_complete_but_for_the_last_trades_counts() -> None:
    """The closing message may overtake the last trade of a bar."""
    bar_observer = BarObserver(interval_ms=MINUTE)
    for number in range(96):
        bar_observer.see_trade(make_trade(time_ms=number))
    assert bar_observer.close(make_bar(0, trades=100)).imbalance == 1.0


def test_flow_of_bars_that_never_close_is_forgotten() -> None:
    """Memory is bounded by a few bars, whatever is missed."""
    bar_observer = BarObserver(interval_ms=MINUTE)
    for minute in range(1_000):
        bar_observer.see_trade(make_trade(time_ms=minute * MINUTE))
    assert len(bar_observer._flows) <= 3


def test_spread_is_that_of_the_last_quote() -> None:
    """And unknown before the first."""
    bar_observer = BarObserver(interval_ms=MINUTE)
    assert bar_observer.close(make_bar(0, trades=1)).spread is None
    quote = Quote.of("BTCUSDT", 99, 101)
    bar_observer.see_quote(quote)
    assert bar_observer.close(make_bar(1, trades=1)).spread == spread_of(quote) == 0.02
