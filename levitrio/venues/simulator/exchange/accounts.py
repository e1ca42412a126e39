"""Accounts of the simulated exchange: balances free and locked, orders, trades. Pure.

What an order could cost is locked when it is accepted and released as it fills or ends. The fee
is taken from the received asset: after buying 1 an account holds less than 1.
"""

from collections import deque
from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal

import attrs

from levitrio.trading.orders import OrderStatus, Side
from levitrio.trading.venue_orders import Execution, RestingOrder
from levitrio.venues.binance.orders.signing import (
    Ed25519PublicKey,
    HmacKey,
    Verifier,
    is_ed25519_pem,
)
from levitrio.venues.simulator.exchange.order_request import OrderRequest

ZERO = Decimal(0)

_EIGHT = Decimal("0.00000001")

KEPT_ORDERS = 50_000
"""Orders kept per account, and trades per symbol: a fleet that trades for weeks must not fill
the memory. About 100 MB."""

OPEN = frozenset({OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED})


@attrs.frozen(kw_only=True)
class ApiKey:
    """A client's API key and what verifies its signatures."""

    key: str
    verifier: Verifier = attrs.field(repr=False)

    @classmethod
    def of(cls, key: str, secret: str) -> "ApiKey":
        """From an HMAC secret, or from the public half of an Ed25519 key as PEM.

        Raises:
            UsageError: the PEM is no Ed25519 public key.
        """
        if is_ed25519_pem(secret):
            return cls(key=key, verifier=Ed25519PublicKey(secret))
        return cls(key=key, verifier=HmacKey(secret))

    @property
    def may_log_on(self) -> bool:
        """Whether `session.logon` takes the key: Ed25519 keys only."""
        return isinstance(self.verifier, Ed25519PublicKey)


@attrs.define(eq=False)
class AssetBalance:
    """One asset of one account."""

    free: Decimal = ZERO
    locked: Decimal = ZERO
    """Reserved for open orders."""


@attrs.frozen(kw_only=True)
class AccountTrade:
    """One fill in the account's history."""

    trade_id: int
    order_id: int
    symbol: str
    price: Decimal
    quantity: Decimal
    commission: Decimal
    commission_asset: str
    time_ms: int
    is_buyer: bool
    is_maker: bool

    @property
    def amount(self) -> Decimal:
        """Price times quantity, in the quote asset."""
        return self.price * self.quantity


@attrs.define(eq=False, kw_only=True)
class VenueOrder:
    """One order of one account, from its acceptance on."""

    account: "VenueAccount"
    request: OrderRequest
    client_id: str
    resting: RestingOrder
    base: str
    quote: str
    time_ms: int
    """Market time of its acceptance, ms since 1970."""
    update_ms: int
    working_ms: int = -1
    """When it entered the order book; -1 while it waits for its stop price."""
    status: OrderStatus = OrderStatus.NEW
    expiry_reason: str = "NONE"
    locked: Decimal = ZERO
    """Locked amount of the asset it pays with."""
    trades: list[AccountTrade] = attrs.field(factory=list)

    @property
    def order_id(self) -> int:
        """The venue's id of the order."""
        return self.resting.order_id

    @property
    def is_open(self) -> bool:
        """Whether it can still fill."""
        return self.status in OPEN

    @property
    def pays(self) -> str:
        """The asset it pays with."""
        return self.quote if self.resting.side is Side.BUY else self.base

    @property
    def worst_cost(self) -> Decimal:
        """The most that its remaining part may cost, in the asset it pays with."""
        resting = self.resting
        if not self.is_open:
            return ZERO
        if resting.side is Side.SELL:
            return resting.remaining
        return (resting.price or resting.stop_price or ZERO) * resting.remaining


@attrs.define(eq=False, kw_only=True)
class VenueAccount:
    """Balances, orders and trades of one API key."""

    api_key: ApiKey
    uid: int
    maker_fee: Decimal
    """Fraction of the received amount."""
    taker_fee: Decimal
    balances: dict[str, AssetBalance]
    update_ms: int = 0
    """Time of the last change of a balance, ms since 1970."""
    orders: dict[int, VenueOrder] = attrs.field(factory=dict)
    """By order id, oldest first."""
    trades: dict[str, deque[AccountTrade]] = attrs.field(factory=dict)
    """By symbol, oldest first."""
    _open: dict[tuple[str, str], VenueOrder] = attrs.field(factory=dict, init=False)
    """By symbol and client id, which is unique among open orders only."""
    _newest: dict[tuple[str, str], VenueOrder] = attrs.field(factory=dict, init=False)
    """The newest order, open or not, by symbol and client id."""

    def balance(self, asset: str) -> AssetBalance:
        """The balance of an asset; created empty if there is none."""
        return self.balances.setdefault(asset, AssetBalance())

    def open_orders(self, symbol: str | None = None) -> list[VenueOrder]:
        """The open orders, of one symbol or of all, oldest first."""
        return [each for each in self._open.values() if symbol in {None, each.request.symbol}]

    def find(self, symbol: str, order_id: int | None, client_id: str | None) -> VenueOrder | None:
        """The order with that order id, else the newest with that client id."""
        if order_id is not None:
            found = self.orders.get(order_id)
            is_same = client_id is None or found is None or found.client_id == client_id
            return found if found and found.request.symbol == symbol and is_same else None
        return self._newest.get((symbol, client_id or ""))

    def is_taken(self, symbol: str, client_id: str) -> bool:
        """Whether an open order has that client id."""
        return (symbol, client_id) in self._open

    def add(self, order: VenueOrder) -> None:
        """Add an accepted order and lock what it may cost."""
        self.orders[order.order_id] = order
        name = (order.request.symbol, order.client_id)
        self._open[name] = self._newest[name] = order
        self._archive()
        self.settle(order, order.time_ms)

    def apply(self, order: VenueOrder, execution: Execution, trade_id: int, now_ms: int) -> None:
        """Apply one fill of an order: pay, receive less the fee, release what was locked.

        Args:
            order: one of this account.
            execution: price and quantity of the fill.
            trade_id: its id.
            now_ms: market time, ms since 1970.
        """
        is_buy = order.resting.side is Side.BUY
        amount = execution.price * execution.quantity
        paid, received = (amount, execution.quantity) if is_buy else (execution.quantity, amount)
        asset = order.base if is_buy else order.quote
        rate = self.maker_fee if execution.is_maker else self.taker_fee
        fee = (received * rate).quantize(_EIGHT, rounding=ROUND_DOWN)
        trade = AccountTrade(
            trade_id=trade_id,
            order_id=order.order_id,
            symbol=order.request.symbol,
            price=execution.price,
            quantity=execution.quantity,
            commission=fee,
            commission_asset=asset,
            time_ms=now_ms,
            is_buyer=is_buy,
            is_maker=execution.is_maker,
        )
        order.trades.append(trade)
        self.trades.setdefault(order.request.symbol, deque(maxlen=KEPT_ORDERS)).append(trade)
        self.settle(order, now_ms)
        self.balance(order.pays).free -= paid
        self.balance(asset).free += received - fee

    def settle(self, order: VenueOrder, now_ms: int) -> None:
        """Lock exactly what the order may still cost; a finished order leaves the open ones."""
        balance = self.balance(order.pays)
        released = order.locked - order.worst_cost
        balance.locked -= released
        balance.free += released
        order.locked -= released
        order.update_ms = self.update_ms = now_ms
        if not order.is_open:
            self._open.pop((order.request.symbol, order.client_id), None)

    def _archive(self) -> None:
        """Drop the oldest order above `KEPT_ORDERS`, unless it is open."""
        if len(self.orders) <= KEPT_ORDERS:
            return
        oldest = next(iter(self.orders.values()))
        if oldest.is_open:
            return
        del self.orders[oldest.order_id]
        name = (oldest.request.symbol, oldest.client_id)
        if self._newest[name] is oldest:
            del self._newest[name]


def open_account(
    api_key: ApiKey, uid: int, balances: Mapping[str, Decimal], fee: Decimal
) -> VenueAccount:
    """A new account with free balances.

    Args:
        api_key: what its client signs with.
        uid: the account's number.
        balances: by asset.
        fee: of makers and takers, a fraction of the received amount.
    """
    return VenueAccount(
        api_key=api_key,
        uid=uid,
        maker_fee=fee,
        taker_fee=fee,
        balances={asset: AssetBalance(free=amount) for asset, amount in balances.items()},
    )
