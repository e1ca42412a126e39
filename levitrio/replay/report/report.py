"""What came of a replay, as plain data: everything `--json` prints, and text and page show.

Two replays of the same tape give the same document to the byte, so nothing in it knows the
machine's time, its speed or the name of a temporary thing.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

from levitrio.records.logs.event_log import iso_ms
from levitrio.replay.engine_run import EngineRun
from levitrio.replay.equity_curve import EquityCurve, Ratios
from levitrio.replay.report.round_trips import RoundTrip, round_trips
from levitrio.replay.run import Replay
from levitrio.trading.amounts import format_amount
from levitrio.trading.market import Quote
from levitrio.trading.orders import Fill

SCHEMA = 1

ZERO = Decimal(0)

MOST_LEFT_OUT = 20
"""Notes about missing members: a fleet may have hundreds."""

SHARPE = "mean(R) / stdev(R) x sqrt(N)"
SORTINO = "mean(R) / sqrt(mean(min(R, 0)^2)) x sqrt(N)"


def document(
    replay: Replay, *, recording: Sequence[str], overrides: Sequence[str]
) -> dict[str, Any]:
    """Return the whole report; `recording` and `overrides` appear in it as they were typed."""
    account = replay.assembly.account
    config = replay.config
    fills = replay.replay_journal.fills
    trips = round_trips(fills)
    equity = account.equity()
    cash = config.broker.cash
    fees = sum((fill.fee for fill in fills), ZERO)
    curve = replay.valuation.curve
    held = _buy_and_hold(replay)
    ordered = Counter(line.symbol for line in replay.replay_journal.orders.values())
    return {
        "schema": SCHEMA,
        "fleet": config.fleet.name,
        "recording": list(recording),
        "set": list(overrides),
        "quote_asset": config.fleet.quote,
        "start": _time(replay.valuation.start_ms),
        "end": _time(replay.end_ms),
        "days": round((replay.end_ms - replay.valuation.start_ms) / 86_400_000, 6),
        "notes": [*replay.tape.notes(), *_notes(replay)],
        "cash": format_amount(cash),
        "equity": format_amount(equity),
        "pnl": format_amount(equity - cash),
        "return": _fraction(float((equity - cash) / cash)),
        "fees": format_amount(fees),
        "max_drawdown": _fraction(curve.max_drawdown),
        "mean_exposure": _fraction(curve.mean_exposure),
        **_ratios(curve.ratios()),
        "orders": len(replay.replay_journal.orders),
        "fills": len(fills),
        "signals": sum(engine_run.signals for engine_run in replay.engine_runs.values()),
        "trading_state": account.trading_state.value,
        "trading_reason": account.trading_reason,
        "buy_and_hold": held,
        "trades": _trades_summary(trips),
        "symbols": [
            _symbol(
                replay, engine_run, ordered[engine_run.symbol], fills_of, trips_of, held["symbols"]
            )
            for engine_run, fills_of, trips_of in _by_symbol(replay, fills, trips)
        ],
        "crashes": [
            {
                "symbol": crash.symbol,
                "time": _time(crash.time_ms),
                "error": crash.error,
                "place": crash.place,
                "restarts_in": crash.restarts_in,
            }
            for engine_run in replay.engine_runs.values()
            for crash in engine_run.crashes
        ],
        "order_list": [_order(line) for line in replay.replay_journal.orders.values()],
        "fill_list": [_fill(fill) for fill in fills],
        "trade_list": [_trip(trip) for trip in trips],
        "curve": _curve(curve),
    }


def _ratios(ratios: Ratios) -> dict[str, Any]:
    periods = 365 * 86_400_000 // ratios.interval_ms
    return {
        "sharpe": _fraction(ratios.sharpe),
        "sortino": _fraction(ratios.sortino),
        "ratios": {
            "sharpe": SHARPE,
            "sortino": SORTINO,
            "returns": "R: simple returns of equity, no risk-free rate, target 0",
            "interval_seconds": ratios.interval_ms // 1000,
            "count": ratios.returns,
            "annualisation": f"N = {periods} intervals in 365 days",
        },
    }


def _notes(replay: Replay) -> list[str]:
    notes = []
    days = (replay.end_ms - replay.valuation.start_ms) / 86_400_000
    if not replay.valuation.start_ms:
        notes.append("nothing happened on the tape")
    elif days < 30:
        notes.append("less than 30 days of data: annualised figures say little")
    listening = [
        engine_run
        for engine_run in replay.engine_runs.values()
        if engine_run.trades or engine_run.signals
    ]
    if replay.valuation.start_ms and not listening:
        notes.append(
            "no trades on the tape and no signals: a built-in strategy that listens to bars wants"
            " --set defaults.params.source=bar"
        )
    left_out = replay.replay_journal.left_out
    notes += [
        text + (f" ({times} times)" if times > 1 else "")
        for text, times in left_out.most_common(MOST_LEFT_OUT)
    ]
    if len(left_out) > MOST_LEFT_OUT:
        notes.append(f"{len(left_out) - MOST_LEFT_OUT} more members or reasons were left out")
    notes += [
        f"{engine_run.symbol} was given up after {len(engine_run.crashes)} crashes"
        for engine_run in replay.engine_runs.values()
        if engine_run.has_failed
    ]
    return notes


def _by_symbol(
    replay: Replay, fills: Sequence[Fill], trips: Sequence[RoundTrip]
) -> list[tuple[EngineRun, list[Fill], list[RoundTrip]]]:
    fills_of: dict[str, list[Fill]] = defaultdict(list)
    trips_of: dict[str, list[RoundTrip]] = defaultdict(list)
    for fill in fills:
        fills_of[fill.symbol].append(fill)
    for trip in trips:
        trips_of[trip.symbol].append(trip)
    return [(engine_run, fills_of[s], trips_of[s]) for s, engine_run in replay.engine_runs.items()]


def _symbol(
    replay: Replay,
    engine_run: EngineRun,
    orders: int,
    fills: Sequence[Fill],
    trips: Sequence[RoundTrip],
    held: Mapping[str, Any],
) -> dict[str, Any]:
    state = replay.assembly.symbol_states[engine_run.symbol]
    position, quote = state.position, state.market.quote
    return {
        "symbol": engine_run.symbol,
        "strategy": engine_run.slot.config.strategy,
        "params": dict(engine_run.slot.config.params),
        "pnl": format_amount(position.total_pnl(quote)),
        "realized_pnl": format_amount(position.realized_pnl),
        "unrealized_pnl": format_amount(position.unrealized_pnl(quote)),
        "fees": format_amount(sum((fill.fee for fill in fills), ZERO)),
        "turnover": format_amount(sum((fill.price * fill.quantity for fill in fills), ZERO)),
        "position": format_amount(position.quantity),
        "average_entry": format_amount(position.average_entry),
        "orders": orders,
        "fills": len(fills),
        "signals": engine_run.signals,
        "ticks": engine_run.trades,
        "time_in_market": _time_in_market(replay, fills),
        "buy_and_hold": held.get(engine_run.symbol),
        "trades": _trades_summary(trips),
        "denials": dict(sorted(state.denials.items())),
        "incarnations": engine_run.incarnation,
        "crashes": len(engine_run.crashes),
    }


def _time_in_market(replay: Replay, fills: Sequence[Fill]) -> float | None:
    """Share of the tape's time with a position; average-cost books hold one or none."""
    span = replay.end_ms - replay.valuation.start_ms
    if span <= 0:
        return None
    held, position, since = 0, ZERO, 0
    for fill in fills:
        if position != ZERO:
            held += fill.time_ms - since
        position += fill.quantity * fill.side.sign
        since = fill.time_ms
    if position != ZERO:
        held += replay.end_ms - since
    return _fraction(held / span)


def _buy_and_hold(replay: Replay) -> dict[str, Any]:
    """The cash in equal parts in every symbol with quotes, bought once, sold at the end."""
    broker = replay.config.broker
    worth: dict[str, float] = {}
    for symbol in replay.engine_runs:
        first, last = replay.valuation.first.get(symbol), replay.assembly.markets[symbol].quote
        if first is not None and last is not None:
            worth[symbol] = float(_held(first, last, broker.fee, broker.slippage))
    mean = sum(worth.values()) / len(worth) if worth else None
    return {
        "return": _fraction(mean),
        "symbols": {symbol: _fraction(value) for symbol, value in worth.items()},
        "rule": "equal parts of the cash in each symbol at its first ask, sold at its last bid,"
        " with the same fee and slippage",
    }


def _held(first: Quote, last: Quote, fee: Decimal, slippage: Decimal) -> Decimal:
    paid = first.ask * (1 + slippage) * (1 + fee)
    received = last.bid * (1 - slippage) * (1 - fee)
    return received / paid - 1


def _trades_summary(trips: Sequence[RoundTrip]) -> dict[str, Any]:
    won = [trip.pnl for trip in trips if trip.pnl > 0]
    lost = [trip.pnl for trip in trips if trip.pnl <= 0]
    gains, losses = sum(won, ZERO), -sum(lost, ZERO)
    count = len(trips)
    return {
        "count": count,
        "won": len(won),
        "lost": len(lost),
        "win_rate": _fraction(len(won) / count) if count else None,
        "profit_factor": _fraction(float(gains / losses)) if losses else None,
        "mean_pnl": format_amount((gains - losses) / count) if count else None,
        "best": format_amount(max(trip.pnl for trip in trips)) if count else None,
        "worst": format_amount(min(trip.pnl for trip in trips)) if count else None,
        "mean_seconds": round(sum(t.closed_ms - t.opened_ms for t in trips) / count / 1000, 3)
        if count
        else None,
    }


def _order(line: Any) -> dict[str, Any]:
    return {
        "client_id": line.client_id,
        "time": _time(line.time_ms),
        "symbol": line.symbol,
        "side": line.side,
        "quantity": line.quantity,
        "is_exit": line.is_exit,
        "reason": line.reason,
        "status": line.status,
    }


def _fill(fill: Fill) -> dict[str, Any]:
    return {
        "client_id": fill.client_id,
        "time": _time(fill.time_ms),
        "symbol": fill.symbol,
        "side": fill.side.value,
        "price": format_amount(fill.price),
        "quantity": format_amount(fill.quantity),
        "fee": format_amount(fill.fee),
    }


def _trip(trip: RoundTrip) -> dict[str, Any]:
    return {
        "symbol": trip.symbol,
        "side": trip.side,
        "opened": _time(trip.opened_ms),
        "closed": _time(trip.closed_ms),
        "quantity": format_amount(trip.quantity),
        "entry": format_amount(trip.entry),
        "exit": format_amount(trip.exit),
        "fees": format_amount(trip.fees),
        "pnl": format_amount(trip.pnl),
        "return": _fraction(float(trip.pnl / (trip.entry * trip.quantity))),
    }


def _curve(curve: EquityCurve) -> dict[str, Any]:
    return {
        "interval_seconds": curve.interval_ms // 1000,
        "time_ms": [at for at, _, _ in curve.points],
        "equity": [round(equity, 8) for _, equity, _ in curve.points],
        "exposure": [round(exposure, 6) for _, _, exposure in curve.points],
    }


def _time(time_ms: int) -> str | None:
    return f"{_second(time_ms // 1000)}.{time_ms % 1000:03d}Z" if time_ms else None


@lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    """Orders come in bursts: of a second of many, the date is written once."""
    return iso_ms(seconds * 1000)[: -len(".000Z")]


def _fraction(value: float | None) -> float | None:
    """Eight digits: more would be noise, and would differ between C libraries."""
    return None if value is None else float(f"{value:.8g}")
