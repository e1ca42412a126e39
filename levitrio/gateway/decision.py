"""From a target to an order or a denial: size, then risk. Synchronous, so that nothing
can change between the facts and the verdict."""

from collections.abc import Callable

import attrs

from levitrio.gateway.account import Account
from levitrio.gateway.desk import Closing, Desk
from levitrio.strategies.base import Signal
from levitrio.trading.amounts import plain
from levitrio.trading.filters import SymbolRules, passive_price
from levitrio.trading.orders import Order, OrderType, Side
from levitrio.trading.risk import DataState, Denial, RiskRules, judge
from levitrio.trading.sizing import SizingRules, entry_notional

FLATTEN_WAITS = 3600.0
"""Seconds. A venue's halts and most of its maintenance end sooner; whoever wanted out at another
price should say so again after that."""


@attrs.frozen(kw_only=True)
class EntryRules:
    """How positions are opened. They are closed at the market: getting out must not wait."""

    type: OrderType = OrderType.MARKET
    """Other than MARKET it rests at the best price of its own side."""
    timeout: float = 30.0
    """Seconds on trio's clock that an entry may rest."""


@attrs.frozen(kw_only=True)
class Rules:
    """What every order of the fleet is decided by."""

    risk: RiskRules
    sizing: SizingRules
    entry: EntryRules = EntryRules()


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
        return _wait_for_market(desk, now)
    is_flatten = desk.flatten
    desk.flatten = False
    signal = desk.target
    desk.target = None
    wanted: Order | Denial | None
    if is_flatten:
        wanted = _exit(desk, is_flatten=True)
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


def _wait_for_market(desk: Desk, now: float) -> Denial:
    """Nothing but the operator's `flatten` outlives a market that is closed."""
    said = f"the venue says {desk.closed[:40]}"
    is_flatten, desk.flatten, desk.target = desk.flatten, False, None
    if not is_flatten:
        return Denial(reason="market_closed", detail=said)
    desk.flatten_until = now + FLATTEN_WAITS
    goes = f"it goes when the market opens, if that is within {FLATTEN_WAITS / 60:.0f} minutes"
    return Denial(reason="flatten_waits", detail=f"{said}; {goes}")


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
    return Denial(
        reason="dust", detail=f"{plain(desk.book.position)} is left; {_wants(desk.rules)}"
    )


def _wants(rules: SymbolRules) -> str:
    words = f"the venue wants at least {plain(rules.min_notional)} in steps of {rules.step:f}"
    if rules.min_quantity > rules.step:
        words += f", at least {plain(rules.min_quantity)} of them"
    if rules.max_quantity or rules.max_notional:
        most = [f"{plain(rules.max_quantity)} coins"] if rules.max_quantity else []
        most += [f"a worth of {plain(rules.max_notional)}"] if rules.max_notional else []
        words += f", at most {' or '.join(most)}"
    return words


def _exit(desk: Desk, *, is_flatten: bool = False) -> Order | Denial | None:
    position = desk.book.position
    if position == 0:
        return None
    quantity = desk.closable
    if not quantity:
        return _dust(desk)
    if desk.rules.portion(abs(position) - quantity, desk.book.mark(desk.market.quote)):
        desk.closing = Closing(
            is_flatten=is_flatten, incarnation=desk.incarnation, position=position
        )
    return Order(
        client_id="",
        symbol=desk.symbol,
        side=Side.SELL if position > 0 else Side.BUY,
        quantity=quantity,
        is_exit=True,
    )


def _entry(desk: Desk, account: Account, rules: Rules, signal: Signal) -> Order | Denial:
    if not account.is_capital_known:
        return Denial(reason="equity_unknown", detail="the venue has not told its balances yet")
    if desk.market.quote is None:
        return Denial(reason="no_quote", detail="no quote of this symbol yet")
    kind, limit, fits = rules.entry.type, None, desk.rules
    if kind is not OrderType.MARKET:
        fits = desk.limit_rules
        limit = passive_price(Side.BUY, desk.market.quote.bid, fits.tick)
        if limit == 0:
            detail = f"a bid of {plain(desk.market.quote.bid)} is below one tick of the venue"
            return Denial(reason="tick", detail=detail)
    price = account.expected_price(desk, Side.BUY) if limit is None else limit
    notional = entry_notional(
        rules.sizing,
        equity=account.equity(),
        is_long=True,
        prob_up=signal.prob_up,
        confidence=signal.confidence,
        sigma=desk.market.volatility.sigma(),
    )
    quantity = fits.fitting(notional / price, price)
    if not quantity:
        wants = _wants(fits)
        return Denial(reason="min_notional", detail=f"sized at {notional:.2f}, {wants}")
    return Order(
        client_id="",
        symbol=desk.symbol,
        side=Side.BUY,
        type=kind,
        quantity=quantity,
        price=limit,
    )
