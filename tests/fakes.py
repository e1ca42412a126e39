"""Stand-ins for the seams: journal, broker, event log. In memory, in virtual time."""

from collections.abc import Callable, Mapping
from decimal import Decimal

import attrs
import trio

from levitrio.errors import JournalUnavailable
from levitrio.records.journal.entries import Entry
from levitrio.trading.filters import SymbolFilters
from levitrio.trading.orders import NEXT, Fill, Order, OrderStatus
from levitrio.venues.base import (
    AccountBalances,
    BrokerListener,
    BrokerUnavailable,
    MassStatus,
    OrderReport,
)
from tests.factories import make_fill


@attrs.define(eq=False)
class FakeJournal:
    """Keeps entries in a list; a commit takes `delay` seconds, and fails while `broken`."""

    delay: float = 0.001
    broken: str | None = None
    entries: list[Entry] = attrs.field(factory=list)
    known_fills: tuple[Fill, ...] = ()
    """What it claims to have had already."""
    seq: int = 0
    token: int = 0

    @property
    def last_seq(self) -> int:
        return self.seq

    def reserve(self) -> int:
        self.seq += 1
        return self.seq

    async def append(self, *entries: Entry) -> tuple[Fill, ...]:
        await trio.sleep(self.delay)
        if self.broken is not None:
            raise JournalUnavailable(self.broken)
        self.entries.extend(entries)
        return self.known_fills

    def of(self, kind: type) -> list[Entry]:
        """The entries of one kind, in order."""
        return [entry for entry in self.entries if isinstance(entry, kind)]


@attrs.define(eq=False)
class FakeBroker:
    """Fills every order at `price`, after `delay`, unless `answer` says otherwise."""

    price: Decimal = Decimal(100)
    delay: float = 0.01
    answer: Callable[[Order], OrderReport] | None = None
    placed: list[Order] = attrs.field(factory=list)
    known: dict[str, OrderReport] = attrs.field(factory=dict)
    venue: str = "fake"
    proof_after: float = 6.0
    now: MassStatus = attrs.field(factory=MassStatus)
    """What `standing` answers."""
    held: Mapping[str, Decimal] | None = None
    """What `holdings` answers."""
    account: str = "fake"
    unavailable: str | None = None
    asked: int = 0
    """How often `standing` was asked."""
    cancelled: list[Order] = attrs.field(factory=list)
    cancel_answer: Callable[[Order], OrderReport] | None = None
    questions: int = 0
    """How often an order was asked about."""
    tell: Callable[[str, OrderReport], None] | None = None
    lost: Callable[[], None] | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        await trio.sleep_forever()

    def listen(self, listener: BrokerListener) -> None:
        self.tell, self.lost = listener.take_report, listener.reconcile_all

    async def balances(self) -> AccountBalances | None:
        held = (
            None if self.held is None else AccountBalances(account=self.account, balances=self.held)
        )
        await trio.sleep(self.delay)
        if self.unavailable is not None:
            raise BrokerUnavailable(self.unavailable)
        return held

    async def mass_status(self, symbol: str, since: int | None) -> MassStatus:
        await trio.lowlevel.checkpoint()
        self.asked += 1
        if self.unavailable is not None:
            raise BrokerUnavailable(self.unavailable)
        return self.now

    async def place(self, order: Order) -> OrderReport:
        self.placed.append(order)
        await trio.sleep(self.delay)
        return self.answer(order) if self.answer is not None else self.filled(order)

    async def cancel(self, order: Order) -> OrderReport:
        await trio.lowlevel.checkpoint()
        known = self.known.get(order.client_id)
        if known is None and order not in self.placed:
            return OrderReport(client_id=order.client_id, status=OrderStatus.UNKNOWN)
        if known is not None and not NEXT[known.status]:
            return known
        self.cancelled.append(order)
        if self.cancel_answer is not None:
            return self.cancel_answer(order)
        return OrderReport(client_id=order.client_id, status=OrderStatus.CANCELED)

    async def query(self, order: Order) -> OrderReport | None:
        await trio.lowlevel.checkpoint()
        self.questions += 1
        return self.known.get(order.client_id)

    def filled(self, order: Order) -> OrderReport:
        fill = make_fill(
            client_id=order.client_id,
            symbol=order.symbol,
            side=order.side,
            price=self.price,
            quantity=order.quantity,
            venue="fake",
        )
        return OrderReport(client_id=order.client_id, status=OrderStatus.FILLED, fills=(fill,))


@attrs.define(eq=False)
class FakeReport:
    """Remembers what was reported."""

    lines: list[tuple[str, str, str | None]] = attrs.field(factory=list)

    def __call__(self, kind: str, text: str, *, engine: str | None = None, **data: object) -> None:
        self.lines.append((kind, text, engine))

    def kinds(self) -> list[str]:
        """The kind of each line, in order."""
        return [kind for kind, _, _ in self.lines]

    def of(self, kind: str) -> list[tuple[str, str | None]]:
        """Text and engine of each line of one kind."""
        return [(text, engine) for found, text, engine in self.lines if found == kind]


@attrs.define(eq=False)
class FakeListener:
    """Remembers what a broker pushes."""

    reports: list[tuple[str, OrderReport]] = attrs.field(factory=list)
    missed: list[float] = attrs.field(factory=list)
    """`trio.current_time()` of each call."""
    halts: list[str] = attrs.field(factory=list)
    filters: dict[str, SymbolFilters] = attrs.field(factory=dict)
    closed: dict[str, str] = attrs.field(factory=dict)

    def take_report(self, symbol: str, report: OrderReport) -> None:
        self.reports.append((symbol, report))

    def reconcile_all(self) -> None:
        self.missed.append(trio.current_time())

    def halt_soon(self, reason: str) -> None:
        self.halts.append(reason)

    def learn_market(self, symbol: str, filters: SymbolFilters, closed: str) -> None:
        self.filters[symbol], self.closed[symbol] = filters, closed
