"""What levitrio asks of a venue. Implementations: `paper`, `binance`, `simulator`."""

from collections.abc import Callable, Sequence
from typing import Protocol

import attrs
import trio

from levitrio.trading.market import MarketEvent
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


@attrs.frozen(kw_only=True)
class OrderReport:
    """What a venue says about one order: its status, and the fills that are new since the last."""

    client_id: str
    status: OrderStatus
    fills: Sequence[Fill] = ()
    reason: str = ""
    """The venue's words when it refused."""


class Broker(Protocol):
    """Speaks to a venue about orders. The gateway is its only caller."""

    async def place(self, order: Order) -> OrderReport:
        """Send an order whose intent is durable. A lost answer is `UNKNOWN`, never an exception."""

    async def cancel(self, order: Order) -> OrderReport:
        """Cancel a resting order; an order that is done already reports what became of it."""

    async def query(self, order: Order) -> OrderReport | None:
        """What the venue knows of the order; None: it does not exist there."""
