"""Fills that the venue tells more than once."""

from decimal import Decimal

import pytest

from levitrio.trading.orders import Fill
from levitrio.venues.binance.orders import fill_deduplication
from levitrio.venues.binance.orders.fill_deduplication import FillDeduplicator, FillNovelty
from tests.factories import make_fill


def fill(trade_id: int, client_id: str = "levi-0-1-0", quantity: str = "1", time: int = 5) -> Fill:
    return make_fill(
        client_id=client_id,
        quantity=Decimal(quantity),
        fee_asset="",
        time_ms=time,
        venue="binance",
        trade_id=trade_id,
    )


def test_an_event_counts_once_whatever_was_answered() -> None:
    """Who asked may never have seen the answer."""
    memory = FillDeduplicator()
    memory.name("BTCUSDT", 1, "levi-0-1-0")
    assert memory.learn(fill(7)) is FillNovelty.NEW
    assert memory.learn_event(fill(7, time=6)) is FillNovelty.NEW
    assert memory.learn_event(fill(7)) is FillNovelty.AGAIN
    assert memory.learn(fill(7)) is FillNovelty.AGAIN
    assert memory.learn_event(fill(7, quantity="2")) is FillNovelty.OTHERWISE
    assert memory.learn(fill(7, quantity="2")) is FillNovelty.OTHERWISE
    assert memory.of("BTCUSDT", "levi-0-1-0") == (fill(7),)


def test_fills_are_in_the_order_of_their_trades() -> None:
    """An answer may come after the event of a later fill."""
    memory = FillDeduplicator()
    for trade_id in (9, 7, 8):
        memory.learn(fill(trade_id))
    assert [each.trade_id for each in memory.of("BTCUSDT", "levi-0-1-0")] == [7, 8, 9]
    assert memory.of("ETHUSDT", "levi-0-1-0") == ()


def test_the_oldest_orders_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """With everything that was known of them."""
    monkeypatch.setattr(fill_deduplication, "KEPT_ORDERS", 2)
    memory = FillDeduplicator()
    for number in range(5):
        memory.name("BTCUSDT", number, f"levi-0-{number}-0")
        memory.learn_event(fill(number, f"levi-0-{number}-0"))
    assert memory.client_id("BTCUSDT", 2) is None
    assert memory.client_id("BTCUSDT", 3) == "levi-0-3-0"
    assert memory.of("BTCUSDT", "levi-0-2-0") == ()
    assert (len(memory._trades), len(memory._heard), len(memory._names)) == (2, 2, 2)
