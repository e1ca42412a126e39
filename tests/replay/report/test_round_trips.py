"""Trades from flat to flat, and the same orders in two runs."""

from decimal import Decimal

import attrs
from hypothesis import given
from hypothesis import strategies as st

from levitrio.replay.report.compare import comparison, match
from levitrio.replay.report.round_trips import round_trips
from levitrio.testing import fill
from levitrio.trading.orders import Fill
from levitrio.trading.position import Position


def at(time_ms: int, side: str, price: str, quantity: str = "1", fee: str = "0") -> Fill:
    return attrs.evolve(fill(side, price, quantity), time_ms=time_ms, fee=Decimal(fee))


def test_entries_and_exits_in_pieces() -> None:
    """Averages, fees of all pieces, and nothing before it is flat again."""
    fills = [
        at(1, "buy", "100", "1", "0.1"),
        at(2, "buy", "110", "1", "0.1"),
        at(3, "sell", "120", "1.5", "0.2"),
    ]
    assert round_trips(fills) == []
    (trip,) = round_trips([*fills, at(9, "sell", "100", "0.5", "0.1")])
    assert (trip.side, trip.opened_ms, trip.closed_ms) == ("long", 1, 9)
    assert (trip.quantity, trip.entry, trip.exit) == (Decimal(2), Decimal(105), Decimal(115))
    assert (trip.fees, trip.pnl) == (Decimal("0.5"), Decimal("19.5"))


def test_a_fill_through_zero_is_two_trades() -> None:
    """The rest of it opens the other side."""
    long, short = round_trips(
        [at(1, "buy", "100"), at(2, "sell", "90", "3"), at(3, "buy", "80", "2")]
    )
    assert (long.side, long.pnl) == ("long", Decimal(-10))
    assert (short.side, short.pnl, short.opened_ms) == ("short", Decimal(20), 2)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 50), st.integers(1, 5)), max_size=40))
def test_profits_add_up_to_the_book(steps: list[tuple[bool, int, int]]) -> None:
    """Once flat, the trades' profits are the book's realized profit."""
    fills = [at(n, "buy" if up else "sell", str(p), str(q)) for n, (up, p, q) in enumerate(steps)]
    position = Position(symbol="BTCUSDT", quote_asset="USDT")
    for each in fills:
        position.apply(each)
    if position.quantity:
        side = "sell" if position.quantity > 0 else "buy"
        last = at(99, side, "25", str(abs(position.quantity)))
        position.apply(last)
        fills.append(last)
    total = sum((trip.pnl for trip in round_trips(fills)), Decimal(0))
    assert abs(total - position.realized_pnl) < Decimal("1E-15")


def test_fills_of_two_runs_are_matched() -> None:
    """In order, by symbol and side, and only when they lie close together."""
    here = [at(1_000, "buy", "100"), at(2_000, "sell", "110"), at(90_000, "buy", "100")]
    there = [at(1_300, "buy", "101"), at(2_100, "sell", "110"), at(50_000, "buy", "100")]
    pairs = match(here, there)
    assert [pair.delay_ms for pair in pairs] == [300, 100]
    assert [pair.cost for pair in pairs] == [Decimal(1), Decimal(0)]
    told = comparison(here, there, journal="j")
    assert (told["matched"], told["only_here"], told["only_there"]) == (2, 1, 1)
    assert told["price_difference_bp"] == {"mean": 50.0, "median": 50.0, "worst": 100.0}
    assert told["cost"] == "1"


def test_nothing_to_match() -> None:
    """No figure is made up."""
    told = comparison([], [], journal="j")
    assert told["price_difference_bp"]["mean"] is None
    assert told["cost"] == "0"
