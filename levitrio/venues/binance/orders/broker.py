"""Orders at a venue that speaks the Binance protocol, over its WS API. Implements `Broker`.

One session at a time carries everything; `presence` keeps it open. Nothing is ever sent twice,
except what the venue refused for its timestamp.

What was certainly not carried out is `REJECTED`. Everything else without a trustworthy answer is
`UNKNOWN`, also what was not even sent because there was no session: the gateway then waits and
asks, and does not pour more orders on a venue that is down.
"""

from collections.abc import Callable
from typing import Protocol

import trio

from levitrio.errors import VenueError
from levitrio.trading.filters import SymbolFilters
from levitrio.trading.orders import Fill, Order, OrderStatus
from levitrio.venues.base import (
    AccountBalances,
    BrokerListener,
    BrokerUnavailable,
    MassStatus,
    OrderReport,
)
from levitrio.venues.binance.orders.account_queries import WEIGHT_STATUS, AccountQueries
from levitrio.venues.binance.orders.credentials import Credentials
from levitrio.venues.binance.orders.error_codes import ErrorKind, contradicts_exchange_info
from levitrio.venues.binance.orders.exchange_info import TRADING, ExchangeInfo
from levitrio.venues.binance.orders.fill_deduplication import FillDeduplicator
from levitrio.venues.binance.orders.reports import ReportBuilder, meaning_of, unknown
from levitrio.venues.binance.orders.schemas import InconsistentAnswer, named, place_params
from levitrio.venues.binance.orders.server_time import VenueClock
from levitrio.venues.binance.orders.session import (
    RECV_WINDOW_MS,
    RENEW_AFTER,
    RESEND_WITHIN,
    OrderSession,
)
from levitrio.venues.binance.orders.session_keeper import SessionKeeper
from levitrio.venues.binance.rate_limits.account_limits import AccountLimits
from levitrio.venues.binance.rate_limits.request_weight import WeightLimiter
from levitrio.venues.binance.rate_limits.token_bucket import TokenBucket, connect_bucket
from levitrio.venues.binance.websocket.network import OpenStream, open_network_stream
from levitrio.venues.binance.websocket.request_client import Backoff, Timing

PROOF_MARGIN = 5.0
"""Seconds between the venue's last look at an order's timestamp and the moment a question sees
the order: its books and its history are different machines."""

PATIENCE = 5.0
"""Seconds in which a connection is made when nothing is wrong, at the start above all."""

_NOT_SENT = "not sent: "


class OnBrokerEvent(Protocol):
    """Called with what an operator should know: one line of the event log."""

    def __call__(self, kind: str, text: str, *, engine: str | None = None) -> None:
        """Must neither block nor raise."""


class BinanceBroker:
    """Implements `levitrio.venues.base.Broker`; nothing is connected before `run`."""

    def __init__(
        self,
        *,
        address: Callable[[], str],
        venue: str,
        credentials: Credentials,
        on_event: OnBrokerEvent,
        backoff: Backoff,
        chance: Callable[[], float],
        weight_limiter: WeightLimiter | None = None,
        attempts: TokenBucket | None = None,
        timing: Timing | None = None,
        renew_after: float = RENEW_AFTER,
        redact: Callable[[str], str] = str,
        open_stream: OpenStream = open_network_stream,
    ) -> None:
        """Make a broker.

        Args:
            address: Asked before each connection: `wss://ws-api.binance.com/ws-api/v3`.
            venue: Names the account's venue in fills.
            credentials: What is signed with.
            on_event: Called with `broker_connected`, `broker_disconnected`, `broker_renewed`,
                `broker_unauthorized`, `account_unread`, `order_malformed`, `quarantine`, `limits`,
                `filters_changed`, `market_closed`, `market_open`, `listing_unread`.
            backoff: Attempt and chance -> seconds; attempt 0 is the first reconnect.
            chance: A random number from 0 to 1.
            weight_limiter: Shared with others who ask the venue from this address.
            attempts: The bucket to share when others connect to the same venue.
            timing: Deadlines of each connection.
            renew_after: Seconds after which a connection is replaced while it works.
            redact: Blots out secrets in texts of the venue, before they are passed on.
            open_stream: Opens the network stream of a connection.
        """
        self.venue = venue
        self.proof_after = RECV_WINDOW_MS / 1000 + RESEND_WITHIN + PROOF_MARGIN
        self._address = address
        self._credentials = credentials
        self._on_event = on_event
        self._timing = timing
        self._renew_after = renew_after
        self._redact = redact
        self._open_stream = open_stream
        self._clock = VenueClock()
        self._limits = AccountLimits(address=weight_limiter or WeightLimiter())
        memory = FillDeduplicator()
        self._exchange_info = ExchangeInfo(self._learn_market, self._tell)
        self._reading = AccountQueries(venue=venue, memory=memory)
        self._reports = ReportBuilder(
            venue=venue,
            memory=memory,
            reading=self._reading,
            tell=self._tell,
            redact=redact,
        )
        self._keeper = SessionKeeper(
            self._new_session,
            limits=self._limits,
            attempts=attempts or connect_bucket(),
            backoff=backoff,
            chance=chance,
            tell=self._tell,
            on_ready=self._ready,
            on_missed=self._missed,
        )
        self._nursery: trio.Nursery | None = None
        self._listener: BrokerListener | None = None
        self._asked_since: dict[str, int] = {}
        """When a symbol without any trade of ours was first asked for, ms of the venue."""

    def listen(self, listener: BrokerListener) -> None:
        """See `Broker.listen`."""
        self._listener = listener

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """See `Broker.run`. Cancelled, the connection is closed; what was sent stays sent."""
        task_status.started()
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._exchange_info.keep_fresh, self._keeper.wait_session)
            try:
                await self._keeper.run()
            finally:
                self._nursery = None

    async def place(self, order: Order) -> OrderReport:
        """See `Broker.place`. Cancelled, the order may have been sent.

        Sent at once or not at all: nothing waits here for its turn.
        """
        session = self._keeper.session
        if session is None:
            return unknown(order, f"{_NOT_SENT}no connection to the venue")
        now = trio.current_time()
        venue_ms = self._clock.now_ms(now)
        refusal = self._limits.refusal(now, venue_ms, is_exit=order.is_exit)
        if refusal:
            self._tell("limits", f"order {order.client_id}: {_NOT_SENT}{refusal}", order.symbol)
            return unknown(order, _NOT_SENT + refusal)
        self._limits.sent(venue_ms)
        try:
            answer = await session.send("order.place", place_params(order))
        except VenueError as error:
            return unknown(order, self._redact(str(error)))
        if answer.error is not None:
            if contradicts_exchange_info(answer.error.code, answer.error.msg):
                self._exchange_info.doubt(order.symbol)
            report = self._reports.refusal(order, answer)
            if report.status is OrderStatus.REJECTED:
                self._limits.settled(venue_ms)
            return report
        report = await self._reports.answer(session, order, "order.place", answer)
        if report.fills:
            self._limits.settled(venue_ms)
        return report

    async def cancel(self, order: Order) -> OrderReport:
        """See `Broker.cancel`. Cancelled, the order may be."""
        session = self._keeper.session
        if session is None:
            return unknown(order, f"{_NOT_SENT}no connection to the venue")
        try:
            answer = await session.send("order.cancel", named(order))
        except VenueError as error:
            return unknown(order, self._redact(str(error)))
        if answer.error is not None:
            # Not open: done already, not there yet, or never to be. Only a question tells.
            found = await self.query(order)
            return found or unknown(order, "the venue has no such order now")
        return await self._reports.answer(session, order, "order.cancel", answer)

    async def query(self, order: Order) -> OrderReport | None:
        """See `Broker.query`."""
        session = self._keeper.session
        if session is None:
            return unknown(order, "no connection to the venue")
        try:
            answer = await session.ask("order.status", named(order), weight=WEIGHT_STATUS)
        except VenueError as error:
            return unknown(order, self._redact(str(error)))
        if answer.error is not None:
            if meaning_of(answer) is ErrorKind.NO_SUCH_ORDER:
                return None
            return unknown(order, self._reports.words(answer))
        return await self._reports.answer(session, order, "order.status", answer)

    async def mass_status(self, symbol: str, since: int | None) -> MassStatus:
        """See `Broker.standing`.

        For a symbol without any trade of ours, those count that were made after it was first
        asked for: what the account did before is not the fleet's.
        """
        session = await self._ready_session()
        began_ms = self._clock.now_ms(trio.current_time())
        asked_since = self._asked_since.get(symbol)
        try:
            await self._exchange_info.learn(session, symbol)
            orders = await self._reading.open_orders(session, symbol)
            trades: tuple[Fill, ...] = ()
            if since is not None or asked_since is not None:
                trades = await self._reading.trades(
                    session, symbol, after=since, since_ms=asked_since
                )
        except VenueError as error:
            raise self._unavailable(error, symbol) from None
        self._asked_since.setdefault(symbol, began_ms)
        return MassStatus(open_orders=orders, trades=trades)

    async def balances(self) -> AccountBalances:
        """See `Broker.holdings`."""
        session = await self._ready_session()
        try:
            found = await self._reading.account(session)
        except VenueError as error:
            raise self._unavailable(error, None) from None
        return AccountBalances(
            account=f"{self.venue}:{found.uid}" if found.uid else self.venue,
            balances={each.asset: each.free + each.locked for each in found.balances},
        )

    # The session

    async def _ready_session(self) -> OrderSession:
        with trio.move_on_after(PATIENCE):
            return await self._keeper.wait_session()
        raise BrokerUnavailable(
            f"expected a connection to the venue, there is none in {PATIENCE:g} s"
        )

    def _new_session(self) -> OrderSession:
        return OrderSession(
            self._address(),
            credentials=self._credentials,
            clock=self._clock,
            limits=self._limits,
            take=self._hear,
            on_measured=self._measured,
            on_unauthorized=self._unauthorized,
            timing=self._timing,
            renew_after=self._renew_after,
            open_stream=self._open_stream,
        )

    def _ready(self, session: OrderSession) -> None:
        if self._nursery is not None:
            self._nursery.start_soon(self._look_at_account, session)

    def _hear(self, kind: str, event: bytes) -> None:
        said = self._reports.event(kind, event)
        if said is not None and self._listener is not None:
            self._listener.take_report(*said)

    def _missed(self) -> None:
        if self._listener is not None:
            self._listener.reconcile_all()

    def _learn_market(self, symbol: str, filters: SymbolFilters, status: str) -> None:
        if self._listener is not None:
            self._listener.learn_market(symbol, filters, "" if status == TRADING else status)

    async def _look_at_account(self, session: OrderSession) -> None:
        try:
            found = await self._reading.account(session)
        except VenueError as error:
            self._tell("account_unread", f"the account could not be looked at: {error}")
            return
        if not found.can_trade:
            self._unauthorized("the account may not trade")

    def _measured(self) -> None:
        # What was sent before the newest measurement may carry the uncertainty of the last one.
        margin = RESEND_WITHIN + PROOF_MARGIN + self._clock.uncertainty
        self.proof_after = max(self.proof_after, RECV_WINDOW_MS / 1000 + margin)

    def _unauthorized(self, words: str) -> None:
        text = f"the venue does not accept our key: {self._redact(words)}"
        if not self._keeper.is_refused:
            self._tell("broker_unauthorized", text)
        self._keeper.is_refused = True
        if self._listener is not None:
            self._listener.halt_soon(text[:300])

    def _unavailable(self, error: VenueError, symbol: str | None) -> BrokerUnavailable:
        text = self._redact(str(error))
        if isinstance(error, InconsistentAnswer):
            self._tell("quarantine", text, symbol)
        return BrokerUnavailable(text)

    def _tell(self, kind: str, text: str, symbol: str | None = None) -> None:
        self._on_event(kind, self._redact(text), engine=symbol)
