"""The paper broker: what a market order gets."""

from decimal import Decimal

import attrs
import trio
from trio.testing import MockClock

from levitrio.trading.filters import Range, SymbolFilters
from levitrio.trading.market import Quote, Trade
from levitrio.trading.market_view import MarketView
from levitrio.trading.order_book import DepthSnapshot, OrderBook
from levitrio.trading.orders import Order, OrderStatus, OrderType, Side
from levitrio.venues.base import OrderReport
from levitrio.venues.paper import PaperBroker
from tests.factories import make_order
from tests.fakes import FakeListener


def make_broker(latency: float = 0.0) -> PaperBroker:
    return PaperBroker(
        markets={"BTCUSDT": MarketView(symbol="BTCUSDT")},
        quote_asset="USDT",
        market_ms=lambda: 7,
        latency=latency,
    )


def two_coins(side: Side = Side.BUY) -> Order:
    return make_order(client_id="a", side=side, quantity=2)


async def test_fills_at_the_touch_with_slippage_and_fee() -> None:
    """Buys pay the ask and more, sells get the bid and less, both pay the fee in quote."""
    broker = make_broker()
    broker.markets["BTCUSDT"].see(Quote.of("BTCUSDT", "99", "101"))
    bought, sold = [await broker.place(two_coins(side)) for side in (Side.BUY, Side.SELL)]
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
            report = await broker.place(two_coins())
            assert report.fills[0].price == Decimal(200) * Decimal("1.0005")

        await trio.sleep(0.5)
        market.see(Quote.of("BTCUSDT", "199", "200"))


async def test_without_a_quote_nothing_is_filled() -> None:
    """A report with a reason, no fill."""
    report = await make_broker().place(two_coins())
    assert (report.status, report.reason) == (OrderStatus.REJECTED, "no quote yet")


class Received:
    """The reports the broker pushed."""

    def __init__(self, broker: PaperBroker) -> None:
        self.listener = FakeListener()
        broker.listen(self.listener)

    @property
    def reports(self) -> list[OrderReport]:
        return [report for _, report in self.listener.reports]

    @property
    def filled(self) -> list[tuple[Decimal, Decimal]]:
        return [(fill.price, fill.quantity) for r in self.reports for fill in r.fills]


def limit(side: Side, price: str, kind: OrderType = OrderType.LIMIT) -> Order:
    return attrs.evolve(two_coins(side), type=kind, price=Decimal(price), client_id=f"l{price}")


async def test_a_limit_rests_until_the_market_comes() -> None:
    """It fills as a maker at its own price, by trades and by the touch, part by part."""
    broker = make_broker()
    received = Received(broker)
    broker.markets["BTCUSDT"].see(Quote.of("BTCUSDT", "99", "101", update_id=1))
    order = limit(Side.BUY, "100")
    assert (await broker.place(order)).status is OrderStatus.NEW
    assert [o.client_id for o in (await broker.mass_status("BTCUSDT", None)).open_orders] == [
        "l100"
    ]
    through = Trade.of("BTCUSDT", "99.5", "0.5", time=1, trade_id=1, buyer_is_maker=True)
    broker.see(through)
    report = await broker.query(order)
    assert report is not None
    assert report.status is OrderStatus.PARTIALLY_FILLED
    broker.see(Quote.of("BTCUSDT", "98", "99.9", ask_quantity="5", update_id=2))
    report = await broker.query(order)
    assert report is not None
    assert (report.status, report.fills) == (OrderStatus.FILLED, ())
    assert received.filled == [(Decimal(100), Decimal("0.5")), (Decimal(100), Decimal("1.5"))]
    assert (await broker.cancel(order)).status is OrderStatus.FILLED


async def test_a_limit_takes_what_it_crosses() -> None:
    """What stands at the touch is taken without slippage; the rest stays in the book."""
    broker = make_broker()
    quote = Quote.of("BTCUSDT", "99", "101", ask_quantity="0.5", update_id=1)
    broker.markets["BTCUSDT"].see(quote)
    report = await broker.place(limit(Side.BUY, "102"))
    assert report.status is OrderStatus.PARTIALLY_FILLED
    assert [(f.price, f.quantity) for f in report.fills] == [(Decimal(101), Decimal("0.5"))]
    assert (await broker.cancel(limit(Side.BUY, "102"))).status is OrderStatus.CANCELED
    assert (await broker.mass_status("BTCUSDT", None)).open_orders == ()


async def test_a_maker_never_takes() -> None:
    """LIMIT_MAKER that would match is refused in the venue's words."""
    broker = make_broker()
    broker.markets["BTCUSDT"].see(Quote.of("BTCUSDT", "99", "101"))
    report = await broker.place(limit(Side.BUY, "101", OrderType.LIMIT_MAKER))
    assert report.reason == "Order would immediately match and take."
    assert (await broker.place(limit(Side.BUY, "100", OrderType.LIMIT_MAKER))).status is (
        OrderStatus.NEW
    )


async def test_the_venues_filters_hold_on_paper() -> None:
    """An order the venue would refuse is refused here, with the same words."""
    broker = make_broker()
    broker.filters = {"BTCUSDT": SymbolFilters(lot=Range(least=Decimal(3), step=Decimal(1)))}
    broker.markets["BTCUSDT"].see(Quote.of("BTCUSDT", "99", "101"))
    assert (await broker.place(two_coins())).reason == "Filter failure: LOT_SIZE"


async def test_a_market_order_walks_the_local_book() -> None:
    """With depth it takes level by level; what the book has not got expires."""
    broker = make_broker()
    broker.slippage = Decimal(0)
    market = broker.markets["BTCUSDT"]
    market.see(Quote.of("BTCUSDT", "99", "101", update_id=5))
    market.depth = OrderBook("BTCUSDT")
    market.depth.load(
        DepthSnapshot(last_id=5, bids=[("99", "1")], asks=[("101", "1.5"), ("102", "0.25")])
    )
    report = await broker.place(two_coins())
    assert report.status is OrderStatus.EXPIRED
    assert [(f.price, f.quantity) for f in report.fills] == [
        (Decimal(101), Decimal("1.5")),
        (Decimal(102), Decimal("0.25")),
    ]


async def test_what_ended_is_not_standing() -> None:
    """An unknown order: none."""
    assert await make_broker().query(two_coins()) is None
