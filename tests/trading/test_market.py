"""Symbols and market values."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from levitrio.trading.market import Bar, Quote, Trade, normalize_symbol


@pytest.mark.parametrize("written", ["BTC/USDT", "BTC-USDT", "btcusdt", "BtcUsdt", "BTCUSDT"])
def test_symbols_are_written_as_people_write_them(written: str) -> None:
    """Every usual spelling is one symbol."""
    assert normalize_symbol(written) == "BTCUSDT"


@pytest.mark.parametrize(
    "written", ["", "../etc", "A\x00B", "a" * 33, "-", "/", ".", "..", "ÄBC", "BTC USDT", "\x1b[2J"]
)
def test_what_is_no_symbol_is_refused(written: str) -> None:
    """Text that could leave the log folder or control the terminal is no symbol."""
    with pytest.raises(ValueError, match="expected a symbol"):
        normalize_symbol(written)


def test_values_are_exact() -> None:
    """Prices come back as the Decimal of the venue's text, times as aware UTC."""
    when = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)
    trade = Trade.of("BTCUSDT", "61837.63000000", "0.1", time=when, trade_id=7)
    assert trade.price == Decimal("61837.63")
    assert trade.quantity == Decimal("0.1")
    assert trade.time == when
    quote = Quote.of("BTCUSDT", "1.1", "1.2", bid_quantity="3", ask_quantity="4")
    assert (quote.bid, quote.ask) == (Decimal("1.1"), Decimal("1.2"))
    assert (quote.bid_quantity, quote.ask_quantity) == (Decimal(3), Decimal(4))
    bar = Bar.of("BTCUSDT", "2", open_time=when, open="1", high="3", low="0.5", volume="9")
    assert (bar.open, bar.high, bar.low, bar.close) == tuple(map(Decimal, ("1", "3", "0.5", "2")))
    assert (bar.open_time, bar.volume) == (when, Decimal(9))
