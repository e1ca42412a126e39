"""From a target to an order or a denial: size, then risk. Synchronous, so that nothing
can change between the facts and the verdict."""

from collections.abc import Callable
from decimal import Decimal

import attrs

from levitrio.gateway.account import Account
from levitrio.gateway.desk import Desk
from levitrio.strategies.base import Signal
from levitrio.trading.amounts import plain
from levitrio.trading.filters import round_down
from levitrio.trading.orders import Order, Side
from levitrio.trading.risk import DataState, Denial, RiskRules, judge
from levitrio.trading.sizing import SizingRules, entry_notional


@attrs.frozen(kw_only=True)
class Rules:
    """What every order of the fleet is decided by."""

    risk: RiskRules
    sizing: SizingRules


def decide(
    desk: Desk,
    account: Account,
    rules: Rules,
    *,
    client_id: Callable[[], str],
    now: float,
    data: DataState,
) -> Order | Denial | None:
    """Take what waits at the desk and answer it: the order to send, a denial, or nothing to do.

    A target on the other side of a held position is reached in two orders: the exit now, and the
    target stays for the next call. `client_id` is called once for an order that may leave.
    """
    if desk.blocks:
        desk.flatten, desk.target = False, None
        return Denial(reason=min(desk.blocks), detail="until it is known what the venue holds")
    if desk.closed:
        desk.flatten, desk.target = False, None
        return Denial(reason="market_closed", detail=f"the venue says {desk.closed[:40]}")
    is_flatten = desk.flatten
    desk.flatten = False
    signal = desk.target
    desk.target = None
    wanted: Order | Denial | None
    if is_flatten:
        wanted = _exit(desk)
    elif signal is None:
        return None
    else:
        wanted = _towards(desk, account, rules, signal)
    if not isinstance(wanted, Order):
        return wanted
    facts = account.exposure(desk, wanted, now=now, data=data, is_flatten=is_flatten)
    denial = judge(rules.risk, wanted, facts)
    if denial is None and desk.signals_only:
        denial = Denial(reason="signals_only", detail=f"would {wanted.side} {wanted.quantity}")
    return denial or wanted.named(client_id())


def _towards(desk: Desk, account: Account, rules: Rules, signal: Signal) -> Order | Denial | None:
    side = desk.side
    if side > 0:
        return None if signal.side == "long" else _exit(desk)
    if side < 0:
        if signal.side == "short":
            return None
        if signal.side == "long":
            desk.target = signal
        return _exit(desk)
    if signal.side == "long":
        return _entry(desk, account, rules, signal)
    if desk.is_dust:
        return _dust(desk)
    if signal.side == "short":
        return Denial(reason="short_on_spot", detail="on a spot venue short means flat")
    return None


def _dust(desk: Desk) -> Denial:
    """Said once, never retried for ever: the venue takes no order this small."""
    wants = f"the venue wants {plain(desk.rules.min_notional)} in steps of {desk.rules.step:f}"
    return Denial(reason="dust", detail=f"{plain(desk.book.position)} is left; {wants}")


def _exit(desk: Desk) -> Order | Denial | None:
    position = desk.book.position
    if position == 0:
        return None
    if desk.is_dust:
        return _dust(desk)
    return Order(
        client_id="",
        symbol=desk.symbol,
        side=Side.SELL if position > 0 else Side.BUY,
        quantity=desk.closable,
        is_exit=True,
    )


def _entry(desk: Desk, account: Account, rules: Rules, signal: Signal) -> Order | Denial:
    if not account.is_capital_known:
        return Denial(reason="equity_unknown", detail="the venue has not told its balances yet")
    if desk.market.quote is None:
        return Denial(reason="no_quote", detail="no quote of this symbol yet")
    price = account.expected_price(desk, Side.BUY)
    notional = entry_notional(
        rules.sizing,
        equity=account.equity(),
        is_long=True,
        prob_up=signal.prob_up,
        confidence=signal.confidence,
        sigma=desk.market.volatility.sigma(),
    )
    quantity = round_down(notional / price, desk.rules.step)
    value: Decimal = quantity * price
    if quantity == 0 or value < desk.rules.min_notional:
        wants = f"the venue wants at least {desk.rules.min_notional}"
        return Denial(reason="min_notional", detail=f"sized at {value:.2f}, {wants}")
    return Order(client_id="", symbol=desk.symbol, side=Side.BUY, quantity=quantity)
