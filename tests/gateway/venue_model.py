"""A modelled venue that does everything a real one has been seen to do with orders.

Client ids are unique among open orders only: a blind resend doubles the fill. Requests arrive late
or never, answers are lost, and a request is refused once its receive window has passed.
"""

import random
from collections import Counter
from collections.abc import Callable
from decimal import Decimal

import attrs
import trio

from levitrio.trading.orders import Fill, Order, OrderStatus
from levitrio.venues.base import BrokerListener, MassStatus, OrderReport
from tests.factories import make_fill

RECV_WINDOW = 5.0

SKEW = 1.0

CRASH = 0.03
"""How probably a step is the last one."""


@attrs.define(eq=False)
class ModelVenue:
    """Lives outside of any fleet: it survives the fleet's crashes."""

    dice: random.Random
    fills: dict[str, list[Fill]] = attrs.field(factory=dict)
    """Client id -> its fills, two for each time that it arrived."""
    wanted: dict[str, Decimal] = attrs.field(factory=dict)
    """Client id -> what its order was for."""
    trade_id: int = 0
    placed: int = 0
    """Orders that were given to a broker, whatever became of them."""
    life: trio.CancelScope | None = None
    """Of the fleet that lives now; None: it does not crash any more."""
    crashes: Counter[str] = attrs.field(factory=Counter)
    """By step."""
    tell: Callable[[str, OrderReport], None] | None = None
    """Takes fills before any answer, unless the event is lost."""

    async def step(self, name: str) -> None:
        """A place where the fleet may be killed."""
        if self.life is not None and self.dice.random() < CRASH:
            self.crashes[name] += 1
            self.life.cancel()
        await trio.lowlevel.checkpoint()

    def arrive(self, order: Order, sent_at: float) -> OrderReport:
        """The order reaches the matching engine; it fills in two pieces, or is too late."""
        if trio.current_time() - sent_at > RECV_WINDOW:
            return OrderReport(client_id=order.client_id, status=OrderStatus.REJECTED)
        self.wanted[order.client_id] = order.quantity
        for quantity in (order.quantity / 4, order.quantity * 3 / 4):
            self._fill(order, quantity)
        return self.report(order.client_id)

    def _fill(self, order: Order, quantity: Decimal) -> None:
        self.trade_id += 1
        fill = make_fill(
            client_id=order.client_id,
            symbol=order.symbol,
            side=order.side,
            quantity=quantity,
            venue="model",
            trade_id=self.trade_id,
        )
        self.fills.setdefault(order.client_id, []).append(fill)
        if self.tell is not None and self.dice.random() < 0.6:
            report = attrs.evolve(self.report(order.client_id), fills=(fill,))
            self.tell(order.symbol, report)

    def doubled(self) -> int:
        """Orders that filled more than they were for."""
        bought = {each: sum(f.quantity for f in fills) for each, fills in self.fills.items()}
        return sum(quantity > self.wanted[each] for each, quantity in bought.items())

    def report(self, client_id: str) -> OrderReport:
        """The venue's report of an order it has."""
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
    """One fleet's connection to the venue: loses, delays and fails at random."""

    world: ModelVenue
    wire: trio.Nursery
    """Requests on their way live here: they arrive although the fleet died."""
    asks: bool = True
    """False takes the question away: an unknown order is just sent again."""
    venue: str = "model"
    proof_after: float = RECV_WINDOW + SKEW

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        await trio.sleep_forever()

    def listen(self, listener: BrokerListener) -> None:
        """Of each fill's event, some are lost."""
        self.world.tell = listener.take_report

    async def place(self, order: Order) -> OrderReport:
        self.world.placed += 1
        report = await self._send(order)
        while not self.asks and report.status is OrderStatus.UNKNOWN:
            report = await self._send(order)
        return report

    async def _send(self, order: Order) -> OrderReport:
        await self.world.step("not sent")
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
        await self.world.step("sent, not answered")
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

    async def balances(self) -> None:
        return None

    async def mass_status(self, symbol: str, since: int | None) -> MassStatus:
        await trio.sleep(0.05)
        trades = [f for fills in self.world.fills.values() for f in fills]
        return MassStatus(trades=tuple(f for f in trades if (f.trade_id or 0) > (since or 0)))
