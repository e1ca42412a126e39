"""From a target to an order or a denial: size, then risk. Synchronous, so that nothing
can change between the facts and the verdict."""

from collections.abc import Callable

import attrs

from levitrio.gateway.account import Account
from levitrio.gateway.symbol_state import PendingExit, SymbolState
from levitrio.strategies.base import Signal
from levitrio.trading.amounts import format_amount
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
    state: SymbolState,
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
    if state.blocks:
        state.flatten, state.target = False, None
        return Denial(reason=min(state.blocks), detail="until it is known what the venue holds")
    if state.closed:
        return _wait_for_market(state, now)
    is_flatten = state.flatten
    state.flatten = False
    signal = state.target
    state.target = None
    wanted: Order | Denial | None
    if is_flatten:
        wanted = _exit(state, is_flatten=True)
    elif signal is None:
        return None
    else:
        wanted = _towards(state, account, rules, signal)
    if not isinstance(wanted, Order):
        return wanted
    facts = account.exposure(state, wanted, now=now, data=data, is_flatten=is_flatten)
    denial = judge(rules.risk, wanted, facts)
    if denial is None and state.signals_only:
        denial = Denial(reason="signals_only", detail=f"would {wanted.side} {wanted.quantity}")
    return denial or wanted.named(client_id())


def _wait_for_market(state: SymbolState, now: float) -> Denial:
    """Nothing but the operator's `flatten` outlives a market that is closed."""
    said = f"the venue says {state.closed[:40]}"
    is_flatten, state.flatten, state.target = state.flatten, False, None
    if not is_flatten:
        return Denial(reason="market_closed", detail=said)
    state.flatten_until = now + FLATTEN_WAITS
    goes = f"it goes when the market opens, if that is within {FLATTEN_WAITS / 60:.0f} minutes"
    return Denial(reason="flatten_waits", detail=f"{said}; {goes}")


def _towards(
    state: SymbolState, account: Account, rules: Rules, signal: Signal
) -> Order | Denial | None:
    side = state.side
    if side > 0:
        return None if signal.side == "long" else _exit(state)
    if side < 0:
        if signal.side == "short":
            return None
        if signal.side == "long":
            state.target = signal
        return _exit(state)
    if signal.side == "long":
        return _entry(state, account, rules, signal)
    if state.is_dust:
        return _dust(state)
    if signal.side == "short":
        return Denial(reason="short_on_spot", detail="on a spot venue short means flat")
    return None


def _dust(state: SymbolState) -> Denial:
    """Said once, never retried for ever: the venue takes no order this small."""
    return Denial(
        reason="dust",
        detail=f"{format_amount(state.position.quantity)} is left; {_wants(state.rules)}",
    )


def _wants(rules: SymbolRules) -> str:
    words = (
        f"the venue wants at least {format_amount(rules.min_notional)} in steps of {rules.step:f}"
    )
    if rules.min_quantity > rules.step:
        words += f", at least {format_amount(rules.min_quantity)} of them"
    if rules.max_quantity or rules.max_notional:
        most = [f"{format_amount(rules.max_quantity)} coins"] if rules.max_quantity else []
        most += [f"a worth of {format_amount(rules.max_notional)}"] if rules.max_notional else []
        words += f", at most {' or '.join(most)}"
    return words


def _exit(state: SymbolState, *, is_flatten: bool = False) -> Order | Denial | None:
    position = state.position.quantity
    if position == 0:
        return None
    quantity = state.closable
    if not quantity:
        return _dust(state)
    if state.rules.portion(abs(position) - quantity, state.position.mark(state.market.quote)):
        state.closing = PendingExit(
            is_flatten=is_flatten, incarnation=state.incarnation, position=position
        )
    return Order(
        client_id="",
        symbol=state.symbol,
        side=Side.SELL if position > 0 else Side.BUY,
        quantity=quantity,
        is_exit=True,
    )


def _entry(state: SymbolState, account: Account, rules: Rules, signal: Signal) -> Order | Denial:
    if not account.is_capital_known:
        return Denial(reason="equity_unknown", detail="the venue has not told its balances yet")
    if state.market.quote is None:
        return Denial(reason="no_quote", detail="no quote of this symbol yet")
    kind, limit, fits = rules.entry.type, None, state.rules
    if kind is not OrderType.MARKET:
        fits = state.limit_rules
        limit = passive_price(Side.BUY, state.market.quote.bid, fits.tick)
        if limit == 0:
            detail = (
                f"a bid of {format_amount(state.market.quote.bid)} is below one tick of the venue"
            )
            return Denial(reason="tick", detail=detail)
    price = account.expected_price(state, Side.BUY) if limit is None else limit
    notional = entry_notional(
        rules.sizing,
        equity=account.equity(),
        is_long=True,
        prob_up=signal.prob_up,
        confidence=signal.confidence,
        sigma=state.market.volatility.sigma(),
    )
    quantity = fits.fitting(notional / price, price)
    if not quantity:
        wants = _wants(fits)
        return Denial(reason="min_notional", detail=f"sized at {notional:.2f}, {wants}")
    return Order(
        client_id="",
        symbol=state.symbol,
        side=Side.BUY,
        type=kind,
        quantity=quantity,
        price=limit,
    )
