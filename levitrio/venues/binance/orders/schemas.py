"""Orders on the wire: parameters of requests, shapes of answers and events, and what they prove.

An answer is believed only if it is about the order that was asked about and its numbers agree
with each other; `InconsistentAnswer` says what did not. Decoded by msgspec into what is needed; the
rest of what the venue sends is skipped.
"""

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from levitrio.errors import VenueError
from levitrio.trading.orders import Fill, Order, OrderStatus, OrderType, Side
from levitrio.venues.binance.orders.signing import Parameter

ZERO = Decimal(0)


class InconsistentAnswer(VenueError):
    """What the venue said is about another order, or cannot be true."""


STATUSES = {
    "NEW": OrderStatus.NEW,
    "PENDING_NEW": OrderStatus.NEW,
    "PARTIALLY_FILLED": OrderStatus.PARTIALLY_FILLED,
    "FILLED": OrderStatus.FILLED,
    "CANCELED": OrderStatus.CANCELED,
    "REJECTED": OrderStatus.REJECTED,
    "EXPIRED": OrderStatus.EXPIRED,
    # It met another order of ours, and the venue let the newer one go.
    "EXPIRED_IN_MATCH": OrderStatus.EXPIRED,
}


class AnswerFill(msgspec.Struct, rename="camel"):
    """One fill in the answer to a new order."""

    price: Decimal
    qty: Decimal
    commission: Decimal
    commission_asset: str
    trade_id: int


class OrderAnswer(msgspec.Struct, rename="camel"):
    """What the venue says about one order, when it is placed, asked for or cancelled."""

    symbol: str
    order_id: int
    client_order_id: str
    orig_qty: Decimal
    executed_qty: Decimal
    status: str
    side: str
    type: str
    price: Decimal = ZERO
    orig_client_order_id: str | None = None
    """Of a cancel, whose own id `client_order_id` then is."""
    transact_time: int = 0
    fills: list[AnswerFill] = []

    @property
    def client_id(self) -> str:
        """The order's own."""
        return self.orig_client_order_id or self.client_order_id


class TradeRow(msgspec.Struct, rename="camel"):
    """One row of myTrades."""

    symbol: str
    id: int
    order_id: int
    price: Decimal
    qty: Decimal
    commission: Decimal
    commission_asset: str
    time: int
    is_buyer: bool

    def fill(self, client_id: str, venue: str) -> Fill:
        """As a fill of that order. Raises Contradiction."""
        side = Side.BUY if self.is_buyer else Side.SELL
        return checked_fill(
            Fill(
                client_id=client_id,
                symbol=self.symbol,
                side=side,
                price=self.price,
                quantity=self.qty,
                fee=self.commission,
                fee_asset=self.commission_asset,
                time_ms=self.time,
                venue=venue,
                trade_id=self.id,
            )
        )


class ExecutionReport(msgspec.Struct):
    """`executionReport` of the user data stream."""

    e: str
    s: str
    c: str
    S: str
    q: Decimal
    x: str
    X: str
    i: int
    l: Decimal  # noqa: E741  the venue's own name
    z: Decimal
    L: Decimal
    n: Decimal
    T: int
    t: int
    N: str | None = None
    C: str = ""
    r: str = "NONE"

    @property
    def client_id(self) -> str:
        """The order's own; of a cancel that is in `C`."""
        return self.C or self.c

    def fill(self, venue: str) -> Fill | None:
        """The fill it tells; None: it tells something else. Raises Contradiction."""
        if self.x != "TRADE":
            return None
        if self.S not in set(Side) or self.t < 0:
            raise InconsistentAnswer(f"expected a trade, got side {self.S[:20]!r}, trade {self.t}")
        return checked_fill(
            Fill(
                client_id=self.client_id,
                symbol=self.s,
                side=Side(self.S),
                price=self.L,
                quantity=self.l,
                fee=self.n,
                fee_asset=self.N or "",
                time_ms=self.T,
                venue=venue,
                trade_id=self.t,
            )
        )


class BalanceReport(msgspec.Struct):
    """One asset of the account."""

    asset: str
    free: Decimal
    locked: Decimal


class AccountAnswer(msgspec.Struct, rename="camel"):
    """The answer to `account.status`."""

    can_trade: bool
    balances: list[BalanceReport]
    uid: int = 0


decode_order = msgspec.json.Decoder(OrderAnswer)
decode_orders = msgspec.json.Decoder(list[OrderAnswer])
decode_trades = msgspec.json.Decoder(list[TradeRow])
decode_execution = msgspec.json.Decoder(ExecutionReport)
decode_account = msgspec.json.Decoder(AccountAnswer)


def place_params(order: Order) -> dict[str, Parameter]:
    """`order.place`: with the fills in the answer, and the id that was journaled."""
    params: dict[str, Parameter] = {
        "symbol": order.symbol,
        "side": order.side.value,
        "type": order.type.value,
        "quantity": format(order.quantity, "f"),
        "newClientOrderId": order.client_id,
        "newOrderRespType": "FULL",
    }
    if order.price is not None:
        params["price"] = format(order.price, "f")
    if order.type is OrderType.LIMIT:
        params["timeInForce"] = "GTC"
    return params


def named(order: Order) -> dict[str, Parameter]:
    """Asks about an order, or for its end."""
    return {"symbol": order.symbol, "origClientOrderId": order.client_id}


def status_of(answer: OrderAnswer) -> OrderStatus:
    """The order's status, if its numbers agree with it. Raises Contradiction."""
    status = STATUSES.get(answer.status)
    done, whole = answer.executed_qty, answer.orig_qty
    if status is None:
        raise InconsistentAnswer(f"expected a status of an order, got {answer.status[:40]!r}")
    if not (_is_amount(done) and _is_amount(whole)) or done > whole:
        raise InconsistentAnswer(f"expected to execute at most {whole}, got {done}")
    is_wrong = {
        OrderStatus.NEW: done > ZERO,
        OrderStatus.REJECTED: done > ZERO,
        OrderStatus.PARTIALLY_FILLED: not ZERO < done < whole,
        OrderStatus.FILLED: done != whole,
    }.get(status, False)
    if is_wrong:
        raise InconsistentAnswer(f"expected numbers that fit {status}, got {done} of {whole}")
    return status


def check_about(order: Order, answer: OrderAnswer) -> None:
    """Raises Contradiction unless the answer is about this order."""
    expected = (order.symbol, order.client_id, order.side.value, order.type.value, order.quantity)
    came = (answer.symbol, answer.client_id, answer.side, answer.type, answer.orig_qty)
    if expected == came and (order.price is None or order.price == answer.price):
        return
    raise InconsistentAnswer(f"expected an answer about {expected}, got one about {came}"[:500])


def placed_fills(order: Order, answer: OrderAnswer, venue: str) -> tuple[Fill, ...]:
    """The fills of an answer to a new order. Raises Contradiction."""
    fills = tuple(
        checked_fill(
            Fill(
                client_id=order.client_id,
                symbol=order.symbol,
                side=order.side,
                price=fill.price,
                quantity=fill.qty,
                fee=fill.commission,
                fee_asset=fill.commission_asset,
                time_ms=answer.transact_time,
                venue=venue,
                trade_id=fill.trade_id,
            )
        )
        for fill in answer.fills
    )
    if total(fills) > answer.executed_qty:
        raise InconsistentAnswer(f"expected fills of {answer.executed_qty}, got {total(fills)}")
    return fills


def checked_fill(fill: Fill) -> Fill:
    """A fill that can be; raises Contradiction for any other."""
    sound = (
        _is_amount(fill.price)
        and _is_amount(fill.quantity)
        and fill.fee.is_finite()
        and fill.price > ZERO
        and fill.quantity > ZERO
        and (fill.fee == ZERO or fill.fee_asset)
        and fill.time_ms > 0
    )
    if not sound:
        raise InconsistentAnswer(f"expected a fill that can be, got {fill!r}"[:500])
    return fill


def total(fills: Sequence[Fill]) -> Decimal:
    """Of the base asset."""
    return sum((fill.quantity for fill in fills), ZERO)


def _is_amount(value: Decimal) -> bool:
    return value.is_finite() and value >= ZERO
