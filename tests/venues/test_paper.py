"""The paper broker: what a market order gets."""

from decimal import Decimal

import attrs
import trio
from trio.testing import MockClock

from levitrio.trading.market import Quote
from levitrio.trading.market_view import MarketView
from levitrio.trading.orders import Order, OrderStatus, OrderType, Side
from levitrio.venues.paper import PaperBroker


def make_broker(latency: float = 0.0) -> PaperBroker:
    return PaperBroker(
        markets={"BTCUSDT": MarketView(symbol="BTCUSDT")},
        quote_asset="USDT",
        market_ms=lambda: 7,
        latency=latency,
    )


def make_order(side: Side = Side.BUY) -> Order:
    return Order(client_id="a", symbol="BTCUSDT", side=side, quantity=Decimal(2))


async def test_fills_at_the_touch_with_slippage_and_fee() -> None:
    """Buys pay the ask and more, sells get the bid and less, both pay the fee in quote."""
    broker = make_broker()
    broker.markets["BTCUSDT"].see(Quote.of("BTCUSDT", "99", "101"))
    bought, sold = [await broker.place(make_order(side)) for side in (Side.BUY, Side.SELL)]
    assert bought.fills[0].price == Decimal(101) * Decimal("1.0005")
    assert sold.fills[0].price == Decimal(99) * Decimal("0.9995")
    fill = sold.fills[0]
    assert (fill.fee, fill.fee_asset) == (fill.price * 2 * Decimal("0.001"), "USDT")
    assert (fill.trade_id, fill.time_ms, sold.status) == (None, 7, OrderStatus.FILLED)


async def test_latency_fills_at_the_later_touch(autojump_clock: MockClock) -> None:
    """The market moves while the order travels."""
    broker = make_broker(latency=1.0)
    market = broker.markets["BTCUSDT"]
    market.see(Quote.of("BTCUSDT", "99", "101"))
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            report = await broker.place(make_order())
            assert report.fills[0].price == Decimal(200) * Decimal("1.0005")

        await trio.sleep(0.5)
        market.see(Quote.of("BTCUSDT", "199", "200"))


async def test_what_it_cannot_do_is_rejected() -> None:
    """No quote, or an order that would have to rest: a report with a reason, no fill."""
    broker = make_broker()
    assert (await broker.place(make_order())).reason == "no quote yet"
    limit = attrs.evolve(make_order(), type=OrderType.LIMIT, price=Decimal(1))
    report = await broker.place(limit)
    assert (report.status, report.fills) == (OrderStatus.REJECTED, ())
    assert (await broker.cancel(limit)).status is OrderStatus.CANCELED
    assert await broker.query(limit) is None
