"""A venue whose orders rest until a test fills them, and which answers after a moment."""

from collections.abc import Callable
from decimal import Decimal

import attrs
import trio

from levitrio.trading.orders import Fill, Order, OrderStatus, OrderType
from levitrio.venues.base import BrokerListener, MassStatus, OrderReport
from tests.factories import make_fill


@attrs.define(eq=False)
class RestingVenue:
    """Market orders fill at `price`; limit orders rest. Each request takes `delay` each way."""

    price: Decimal = Decimal(100)
    delay: float = 0.01
    is_deaf: bool = False
    """Cancels and questions get no answer, and do not arrive."""
    refusal: str = ""
    """Its refusal of every LIMIT_MAKER; empty when it takes them."""
    tells: bool = True
    """Fills are pushed."""
    orders: dict[str, Order] = attrs.field(factory=dict)
    """Everything that arrived, by client id."""
    ends: dict[str, OrderStatus] = attrs.field(factory=dict)
    fills: list[Fill] = attrs.field(factory=list)
    cancels: list[str] = attrs.field(factory=list)
    """Client ids, as the cancels arrived."""
    venue: str = "resting"
    proof_after: float = 6.0
    take: Callable[[str, OrderReport], None] | None = None

    @property
    def open(self) -> list[Order]:
        """What rests."""
        return [order for client_id, order in self.orders.items() if client_id not in self.ends]

    @property
    def position(self) -> Decimal:
        """What the account holds."""
        return sum((fill.quantity * fill.side.sign for fill in self.fills), Decimal(0))

    def filled(self, client_id: str) -> Decimal:
        """How much of an order."""
        mine = (fill.quantity for fill in self.fills if fill.client_id == client_id)
        return sum(mine, Decimal(0))

    def fill(self, quantity: Decimal | None = None) -> None:
        """The market comes to the oldest order that rests: part of it, or all that is left."""
        order = self.open[0]
        left = order.quantity - self.filled(order.client_id)
        self._fill(order, left if quantity is None else min(left, quantity))
        if self.tells and self.take is not None:
            report = attrs.evolve(self._report(order.client_id), fills=(self.fills[-1],))
            self.take(order.symbol, report)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        await trio.sleep_forever()

    def listen(self, listener: BrokerListener) -> None:
        self.take = listener.take_report

    async def place(self, order: Order) -> OrderReport:
        await trio.sleep(self.delay)
        assert order.client_id not in self.orders, "sent twice"
        if order.type is OrderType.LIMIT_MAKER and self.refusal:
            self.ends[order.client_id] = OrderStatus.REJECTED
            return OrderReport(
                client_id=order.client_id, status=OrderStatus.REJECTED, reason=self.refusal
            )
        self.orders[order.client_id] = order
        if order.type is OrderType.MARKET:
            self._fill(order, order.quantity)
        report = self._report(order.client_id)
        await trio.sleep(self.delay)
        return report

    async def cancel(self, order: Order) -> OrderReport:
        await trio.sleep(self.delay)
        if self.is_deaf or order.client_id not in self.orders:
            return OrderReport(client_id=order.client_id, status=OrderStatus.UNKNOWN)
        self.cancels.append(order.client_id)
        self.ends.setdefault(order.client_id, OrderStatus.CANCELED)
        report = self._report(order.client_id)
        await trio.sleep(self.delay)
        return report

    async def query(self, order: Order) -> OrderReport | None:
        await trio.sleep(self.delay)
        if self.is_deaf:
            return OrderReport(client_id=order.client_id, status=OrderStatus.UNKNOWN)
        return self._report(order.client_id) if order.client_id in self.orders else None

    async def mass_status(self, symbol: str, since: int | None) -> MassStatus:
        await trio.sleep(self.delay)
        return MassStatus(
            open_orders=tuple(self._report(order.client_id) for order in self.open),
            trades=tuple(fill for fill in self.fills if (fill.trade_id or 0) > (since or 0)),
        )

    async def balances(self) -> None:
        return None

    def _fill(self, order: Order, quantity: Decimal) -> None:
        self.fills.append(
            make_fill(
                client_id=order.client_id,
                symbol=order.symbol,
                side=order.side,
                price=order.price or self.price,
                quantity=quantity,
                venue=self.venue,
                trade_id=len(self.fills) + 1,
            )
        )
        if self.filled(order.client_id) == order.quantity:
            self.ends[order.client_id] = OrderStatus.FILLED

    def _report(self, client_id: str) -> OrderReport:
        fills = tuple(fill for fill in self.fills if fill.client_id == client_id)
        usual = OrderStatus.PARTIALLY_FILLED if fills else OrderStatus.NEW
        status = self.ends.get(client_id, usual)
        return OrderReport(client_id=client_id, status=status, fills=fills)
