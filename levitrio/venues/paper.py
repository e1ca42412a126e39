"""The paper broker: fills orders at the touch, with fee and slippage, and no venue at all."""

from collections.abc import Callable, Mapping
from decimal import Decimal

import attrs
import trio

from levitrio.trading.market_view import MarketView
from levitrio.trading.matching import touch_price
from levitrio.trading.orders import Fill, Order, OrderStatus, OrderType
from levitrio.venues.base import OrderReport, Standing

VENUE = "paper"


@attrs.define(eq=False, kw_only=True)
class PaperBroker:
    """Answers a market order with one fill at the touch of the moment it arrives.

    The fee is paid in the quote asset, so that what was bought can be sold again whole. Nothing
    rests: `cancel` and `query` know only orders that are done.
    """

    markets: Mapping[str, MarketView]
    quote_asset: str
    market_ms: Callable[[], int]
    fee: Decimal = Decimal("0.001")
    """Of the notional."""
    slippage: Decimal = Decimal("0.0005")
    """Of the price, against us."""
    latency: float = 0.0
    """Seconds from our send to the fill. Cancelled while it passes, the order never arrived."""
    venue: str = VENUE
    proof_after: float = 0.0

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """There is no connection to keep."""
        task_status.started()
        await trio.sleep_forever()

    def listen(self, take: Callable[[str, OrderReport], None], lost: Callable[[], None]) -> None:
        """Nothing is ever told unasked."""

    async def place(self, order: Order) -> OrderReport:
        """Fill at the touch; rejected without a quote, or for a type that would have to rest."""
        if self.latency:
            await trio.sleep(self.latency)
        if order.type is not OrderType.MARKET:
            return self._rejected(order, f"expected a MARKET order, got {order.type}")
        quote = self.markets[order.symbol].quote
        if quote is None:
            return self._rejected(order, "no quote yet")
        price = touch_price(order.side, quote, self.slippage)
        fill = Fill(
            client_id=order.client_id,
            symbol=order.symbol,
            side=order.side,
            price=price,
            quantity=order.quantity,
            fee=price * order.quantity * self.fee,
            fee_asset=self.quote_asset,
            time_ms=self.market_ms(),
            venue=VENUE,
        )
        return OrderReport(client_id=order.client_id, status=OrderStatus.FILLED, fills=(fill,))

    async def cancel(self, order: Order) -> OrderReport:
        """Nothing rests here: the order is gone."""
        await trio.lowlevel.checkpoint()
        return OrderReport(client_id=order.client_id, status=OrderStatus.CANCELED)

    async def query(self, order: Order) -> OrderReport | None:
        """No order outlives its `place`."""
        await trio.lowlevel.checkpoint()
        return None

    async def standing(self, symbol: str, since: int | None) -> Standing:
        """Nothing rests, and no fill is missed: this broker and the journal are one process."""
        await trio.lowlevel.checkpoint()
        return Standing()

    def _rejected(self, order: Order, reason: str) -> OrderReport:
        return OrderReport(client_id=order.client_id, status=OrderStatus.REJECTED, reason=reason)
