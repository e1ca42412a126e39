"""A modelled venue that does everything a real one has been seen to do with orders.

Client ids are unique among open orders only: a blind resend doubles the fill. Requests arrive late
or never, answers are lost, and a request is refused once its receive window has passed.
"""

import random
from collections.abc import Callable
from decimal import Decimal

import attrs
import trio

from levitrio.trading.orders import Fill, Order, OrderStatus
from levitrio.venues.base import OrderReport, Standing

RECV_WINDOW = 5.0

SKEW = 1.0


@attrs.define(eq=False)
class ModelVenue:
    """Lives outside of any fleet: it survives the fleet's crashes."""

    dice: random.Random
    fills: dict[str, list[Fill]] = attrs.field(factory=dict)
    """Client id -> its fills, in order of arrival: two mean that it was sent twice."""
    trade_id: int = 0

    def arrive(self, order: Order, sent_at: float) -> OrderReport:
        """The order reaches the matching engine; it fills whole, or is too late."""
        if trio.current_time() - sent_at > RECV_WINDOW:
            return OrderReport(client_id=order.client_id, status=OrderStatus.REJECTED)
        self.trade_id += 1
        fill = Fill(
            client_id=order.client_id,
            symbol=order.symbol,
            side=order.side,
            price=Decimal(100),
            quantity=order.quantity,
            fee=Decimal(0),
            fee_asset="USDT",
            time_ms=0,
            venue="model",
            trade_id=self.trade_id,
        )
        self.fills.setdefault(order.client_id, []).append(fill)
        return self.report(order.client_id)

    def report(self, client_id: str) -> OrderReport:
        """What the venue says of an order it has."""
        return OrderReport(
            client_id=client_id, status=OrderStatus.FILLED, fills=tuple(self.fills[client_id])
        )

    def position(self) -> Decimal:
        """What the account holds, by the venue's own count."""
        return sum(
            (f.quantity * f.side.sign for fills in self.fills.values() for f in fills), Decimal(0)
        )


@attrs.define(eq=False)
class ModelBroker:
    """One fleet's connection to the venue: loses, delays and fails as the dice say."""

    world: ModelVenue
    wire: trio.Nursery
    """Requests on their way live here: they arrive although the fleet died."""
    asks: bool = True
    """False takes the question away: an unknown order is just sent again."""
    venue: str = "model"
    proof_after: float = RECV_WINDOW + SKEW
    placed: int = 0

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        await trio.sleep_forever()

    def listen(self, take: Callable[[str, OrderReport], None], lost: Callable[[], None]) -> None:
        """This venue tells nothing unasked."""

    async def place(self, order: Order) -> OrderReport:
        self.placed += 1
        report = await self._send(order)
        while not self.asks and report.status is OrderStatus.UNKNOWN:
            report = await self._send(order)
        return report

    async def _send(self, order: Order) -> OrderReport:
        dice, sent_at = self.world.dice, trio.current_time()
        fate = dice.random()
        unknown = OrderReport(client_id=order.client_id, status=OrderStatus.UNKNOWN)
        if fate < 0.15:  # never arrives
            await trio.sleep(1.0)
            return unknown
        if fate < 0.35:  # arrives late, long after we gave up waiting
            self.wire.start_soon(self._arrive_later, order, sent_at, dice.uniform(0.5, 8.0))
            await trio.sleep(0.5)
            return unknown
        await trio.sleep(dice.uniform(0.01, 0.1))
        report = self.world.arrive(order, sent_at)
        if fate < 0.55:  # filled, and the answer is lost
            await trio.sleep(0.4)
            return unknown
        return report

    async def _arrive_later(self, order: Order, sent_at: float, delay: float) -> None:
        await trio.sleep(delay)
        self.world.arrive(order, sent_at)

    async def cancel(self, order: Order) -> OrderReport:
        return await self.query(order) or OrderReport(
            client_id=order.client_id, status=OrderStatus.UNKNOWN
        )

    async def query(self, order: Order) -> OrderReport | None:
        await trio.sleep(self.world.dice.uniform(0.01, 0.2))
        if self.world.dice.random() < 0.2:
            return OrderReport(client_id=order.client_id, status=OrderStatus.UNKNOWN)
        if order.client_id in self.world.fills:
            return self.world.report(order.client_id)
        return None

    async def standing(self, symbol: str, since: int | None) -> Standing:
        await trio.sleep(0.05)
        trades = [f for fills in self.world.fills.values() for f in fills]
        return Standing(trades=tuple(f for f in trades if (f.trade_id or 0) > (since or 0)))
