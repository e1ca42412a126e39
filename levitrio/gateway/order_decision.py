"""Decides what a pending target or flatten leads to: size it, judge its risk.

Synchronous, so that no fact can change between reading it and the decision.
"""

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
"""Seconds that a flatten waits for a closed market. A venue's halts and most of its maintenance
end sooner; after that the price may be another, and the operator has to ask again."""


@attrs.frozen(kw_only=True)
class EntryRules:
    """How positions are opened. They are closed at the market, because an exit must not wait."""

    type: OrderType = OrderType.MARKET
    """Order type of entries; one other than MARKET rests at the best price of its own side."""
    timeout: float = 30.0
    """Seconds on trio's clock that an entry may rest."""


@attrs.frozen(kw_only=True)
class Rules:
    """Rules by which every order of the fleet is decided; a reload replaces them."""

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
    """Take a symbol's pending flatten or target and decide it.

    A target on the other side of a position takes two orders: the exit now, while the target
    stays for the next call.

    Args:
        state: The symbol; its `flatten` and `target` are consumed.
        account: The account that risk is judged for.
        rules: Risk, sizing and entry rules now in force.
        client_id: Makes the client order id; called once, for an order that may leave.
        now: Seconds on trio's clock.
        data: How far the symbol's data can be trusted.

    Returns:
        The order to send, a denial, or None when there is nothing to do.
    """
    if state.blocks:
        state.flatten, state.target = False, None
        detail = "no order leaves until the venue's orders and balances are clear"
        return Denial(reason=min(state.blocks), detail=detail)
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
    """Deny while the market is closed; only the operator's flatten goes on waiting."""
    said = f"the venue's status is {state.closed[:40]}"
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
    # The target is consumed, so it is not tried again: the venue takes no order this small.
    return Denial(
        reason="dust",
        detail=f"{format_amount(state.position.quantity)} is left; {_wants(state.rules)}",
    )


def _wants(rules: SymbolRules) -> str:
    words = (
        f"the venue wants at least {format_amount(rules.min_notional)} in steps of {rules.step:f}"
    )
    if rules.min_quantity > rules.step:
        words += f", at least {format_amount(rules.min_quantity)} coins"
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
        detail = "the account's balances have not been read from the venue yet"
        return Denial(reason="equity_unknown", detail=detail)
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
