"""Protocols of a venue: `Feed` for market data, `Broker` for orders.

Implementations: `paper`, `binance`, `simulator`.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Protocol

import attrs
import trio

from levitrio.errors import LevitrioError
from levitrio.trading.filters import SymbolFilters
from levitrio.trading.market import Bar, MarketEvent
from levitrio.trading.orders import Fill, Order, OrderStatus

Deliver = Callable[[MarketEvent], None]
"""Receives a symbol's events. Called on the feed's task: must not block and must not raise."""


@attrs.frozen(kw_only=True)
class FeedStatistics:
    """Counts of a feed since it was made."""

    connections: int
    """Open now."""
    reconnects: int
    messages: int
    dropped: dict[str, int]
    """Refused input by reason."""


class Feed(Protocol):
    """Market data of the whole fleet over few connections."""

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Deliver until cancelled; reconnects by itself. Returning early is an error.

        `started()` is called once every symbol added so far is subscribed.
        """

    def add(self, symbol: str, deliver: Deliver) -> None:
        """Subscribe a symbol; before `run`, or while it runs."""

    def remove(self, symbol: str) -> None:
        """Unsubscribe a symbol; its `deliver` is not called again."""

    def statistics(self) -> FeedStatistics:
        """Counts so far; cheap."""


class PastBars(Protocol):
    """A venue's past candles. Called by an engine that warms up."""

    async def bars(
        self, symbol: str, interval: str, *, first_open_ms: int, last_open_ms: int
    ) -> list[Bar]:
        """Closed bars that opened in between, both included, ascending; at most 1,000.

        Fewer where the venue has no more.

        Args:
            symbol: such as `BTCUSDT`.
            interval: such as `1m`.
            first_open_ms: the first opening time, ms since 1970.
            last_open_ms: the last opening time.

        Raises:
            VenueError: the venue does not answer.
        """


_WOULD_TAKE = "would immediately match"
"""Part of the venue's text for a LIMIT_MAKER that would not have rested: its -2010 has many other
reasons."""


@attrs.frozen(kw_only=True)
class OrderReport:
    """A venue's report of one order: its status and fills, which may repeat earlier ones."""

    client_id: str
    status: OrderStatus
    """`UNKNOWN`: the venue could not be reached, or its answer proves nothing."""
    fills: Sequence[Fill] = ()
    """Fills of a venue carry its trade id, by which the journal applies each once."""
    reason: str = ""
    """The venue's text when it rejected."""

    @property
    def would_take(self) -> bool:
        """Whether a LIMIT_MAKER was rejected because it would not have rested; not an error."""
        return self.status is OrderStatus.REJECTED and _WOULD_TAKE in self.reason.lower()


@attrs.frozen(kw_only=True)
class MassStatus:
    """Open orders and trades of the account in one symbol."""

    open_orders: tuple[OrderReport, ...] = ()
    """Every resting order, including those levitrio did not place."""
    trades: tuple[Fill, ...] = ()
    """Every trade of the account with a higher id than asked for, oldest first.

    `client_id` is empty where the venue does not name the order.
    """


@attrs.frozen(kw_only=True)
class AccountBalances:
    """The balances of the account."""

    account: str
    """`VENUE:NUMBER`, or the venue alone where it does not name the account."""
    balances: Mapping[str, Decimal]
    """By asset, free and locked together; other assets are zero."""


class BrokerUnavailable(LevitrioError):
    """The venue could not be reached, so its orders and balances are not known."""


class BrokerListener(Protocol):
    """Gets what a broker learns without being asked; the gateway is the only one.

    Every method is called on the loop, and must neither block nor raise.
    """

    def take_report(self, symbol: str, report: OrderReport) -> None:
        """Take a report that the venue pushed; they come in the venue's order."""

    def reconcile_all(self) -> None:
        """Compare all symbols: reports may have been missed. Called after each reconnect."""

    def halt_soon(self, reason: str) -> None:
        """Stop trading: the venue does not accept our key. May be called again."""

    def learn_market(self, symbol: str, filters: SymbolFilters, closed: str) -> None:
        """Take a symbol's filters, and why it takes no orders now; empty while it trades.

        Called before the symbol is first compared with the venue, after each reconnect, and from
        time to time.
        """


class Broker(Protocol):
    """Speaks to a venue about orders. The gateway is its only caller."""

    venue: str
    """Name of the venue in fills."""
    proof_after: float
    """Seconds after a send from which "no such order" proves that it never will be one."""

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep the connections to the venue until cancelled; reconnects by itself.

        `started()` is called at once: a venue that cannot be reached makes answers `UNKNOWN`.
        """

    def listen(self, listener: BrokerListener) -> None:
        """Name the one who gets what the venue pushes; called once, before `run`."""

    async def place(self, order: Order) -> OrderReport:
        """Send an order whose intent is durable. A lost answer is `UNKNOWN`, never an exception."""

    async def cancel(self, order: Order) -> OrderReport:
        """Cancel a resting order; a finished order reports its final status."""

    async def query(self, order: Order) -> OrderReport | None:
        """The venue's report of the order; None: it does not exist there now."""

    async def mass_status(self, symbol: str, since: int | None) -> MassStatus:
        """Open orders, and trades with an id above `since`. Raises BrokerUnavailable."""

    async def balances(self) -> AccountBalances | None:
        """The account's balances. Raises BrokerUnavailable.

        None: the venue has no account, only the fleet's own cash counts.
        """
