"""What levitrio asks of a venue. Implementations: `paper`, `binance`, `simulator`."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Protocol

import attrs
import trio

from levitrio.errors import LevitrioError
from levitrio.trading.market import Bar, MarketEvent
from levitrio.trading.orders import Fill, Order, OrderStatus

Deliver = Callable[[MarketEvent], None]
"""Where a symbol's events go. Called on the feed's task: must not block and must not raise."""


@attrs.frozen(kw_only=True)
class FeedStatistics:
    """What the feed did so far."""

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
        """A frozen view, cheap."""


class PastBars(Protocol):
    """A venue's own candles of the past. An engine that warms up is the caller."""

    async def bars(
        self, symbol: str, interval: str, *, first_open_ms: int, last_open_ms: int
    ) -> list[Bar]:
        """Closed bars that opened in between, both included, ascending; at most 1,000.

        Fewer where the venue has no more. Raises VenueError when it does not tell.
        """


_WOULD_TAKE = "would immediately match"
"""In the venue's words for a LIMIT_MAKER that would not have been a maker: its -2010 has many
other reasons."""


@attrs.frozen(kw_only=True)
class OrderReport:
    """What a venue says about one order: its status, and fills, also such as were told before."""

    client_id: str
    status: OrderStatus
    """`UNKNOWN`: the venue could not be asked, or its answer proves nothing."""
    fills: Sequence[Fill] = ()
    """Those of a venue carry its trade id, by which the journal tells what it has already."""
    reason: str = ""
    """The venue's words when it refused."""

    @property
    def would_take(self) -> bool:
        """Refused because it would not have rested: what was asked for, and nobody's error."""
        return self.status is OrderStatus.REJECTED and _WOULD_TAKE in self.reason.lower()


@attrs.frozen(kw_only=True)
class MassStatus:
    """What a venue holds of ours in one symbol."""

    open_orders: tuple[OrderReport, ...] = ()
    """Everything that rests, also what is not ours."""
    trades: tuple[Fill, ...] = ()
    """Every trade of the account after the asked id, oldest first.

    `client_id` is empty where the venue does not say which order of ours it was.
    """


@attrs.frozen(kw_only=True)
class AccountBalances:
    """What a venue keeps for us."""

    account: str
    """Which account it is: `VENUE:NUMBER`, or the venue alone where it does not say."""
    balances: Mapping[str, Decimal]
    """By asset, locked or not; what is not named is zero."""


class BrokerUnavailable(LevitrioError):
    """The venue could not be asked. Says nothing about what it holds."""


class Broker(Protocol):
    """Speaks to a venue about orders. The gateway is its only caller."""

    venue: str
    """Names the account's venue in fills."""
    proof_after: float
    """Seconds after a send from which "no such order" proves that it never will be one."""

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep whatever connections it needs until cancelled; reconnects by itself.

        `started()` is called at once: a venue that cannot be reached makes answers `UNKNOWN`.
        """

    def listen(self, take: Callable[[str, OrderReport], None], lost: Callable[[], None]) -> None:
        """Before `run`: `take(symbol, report)` gets what the venue tells unasked, in order.

        `lost()` is called when something may have been missed: after each reconnect.
        """

    async def place(self, order: Order) -> OrderReport:
        """Send an order whose intent is durable. A lost answer is `UNKNOWN`, never an exception."""

    async def cancel(self, order: Order) -> OrderReport:
        """Cancel a resting order; an order that is done already reports what became of it."""

    async def query(self, order: Order) -> OrderReport | None:
        """What the venue knows of the order; None: it does not exist there (now)."""

    async def mass_status(self, symbol: str, since: int | None) -> MassStatus:
        """Open orders, and trades with an id above `since`. Raises BrokerUnavailable."""

    async def balances(self) -> AccountBalances | None:
        """What the account holds. Raises BrokerUnavailable.

        None: there is no account but the fleet's own cash.
        """
