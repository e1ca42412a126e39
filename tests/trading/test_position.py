"""Average-cost accounting, against published figures and against its own laws."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levitrio.trading.market import Quote
from levitrio.trading.orders import Side
from levitrio.trading.position import Position
from tests.factories import make_fill
from tests.paths import SHARED

VECTORS = SHARED / "vectors" / "accounting.json"

PRICES = st.decimals("0.01", "100000", places=2)
QUANTITIES = st.decimals("0.001", "1000", places=3)


def make_position() -> Position:
    return Position(symbol="BTCUSDT", quote_asset="USDT")


@pytest.mark.skipif(not VECTORS.exists(), reason="shared accounting vectors are not beside us")
def test_equals_published_positions() -> None:
    """Position, average entry and net PnL of every published case, whatever its shape, to 1e-8."""
    compared = 0
    for case in json.loads(VECTORS.read_text()):
        for position, expected in figures(case):
            compared += 1
            if "position" in expected:
                assert position.quantity == Decimal(expected["position"])
            if "avg_entry" in expected:
                error = position.average_entry - Decimal(expected["avg_entry"])
                assert abs(error) < Decimal("1e-8")
            if "realized_pnl_net" in expected:
                error = position.realized_pnl - Decimal(expected["realized_pnl_net"])
                assert abs(error) < Decimal("1e-8")
            if "mark" in expected:
                quote = Quote.of("BTCUSDT", expected["mark"], expected["mark"])
                assert position.unrealized_pnl(quote) == Decimal(expected["expect"])
    assert compared >= 8


def figures(case: dict[str, Any]) -> Iterator[tuple[Position, dict[str, str]]]:
    """A case applied to a position, and what it must show then. ValueError: an unknown shape."""
    position = make_position()
    match case:
        case {"fills": [{}, *_] as fills, "fee_rate": rate}:
            for fill in fills:
                fee = Decimal(fill["qty"]) * Decimal(fill["price"]) * Decimal(rate)
                position.apply(make_fill(fill["side"], fill["qty"], fill["price"], fee=fee))
                yield position, fill.get("expect", {})
            yield position, case.get("unrealized", {})
        case {"fills": [[_, _, _], *_] as fills, "columns": "price qty commission(USDT)"}:
            for price, quantity, fee in fills:
                assert Decimal(price) * Decimal(quantity) * Decimal(case["fee_rate"]) == Decimal(
                    fee
                )
                position.apply(make_fill("SELL", quantity, price, fee=fee))
            paid = -sum(Decimal(fee) for _, _, fee in fills)
            yield position, {"avg_entry": case["expect_avg"], "realized_pnl_net": str(paid)}
        case {"amount": amount, "open_rate": bought, "close_rate": sold, "fee": rate}:
            for side, price in (("BUY", bought), ("SELL", sold)):
                fee = Decimal(amount) * Decimal(price) * Decimal(rate)
                position.apply(make_fill(side, amount, price, fee=fee))
            yield position, {"position": "0", "realized_pnl_net": case["expect"]["profit"]}
        case _:
            raise ValueError(f"expected a case of a known shape, got {case}")


def test_a_fill_through_zero_closes_and_opens() -> None:
    """Selling more than is held realizes the held part and opens a short at the fill's price."""
    position = make_position()
    position.apply(make_fill("BUY", "2", "100"))
    applied = position.apply(make_fill("SELL", "3", "110"))
    assert (applied.position, applied.average_entry) == (Decimal(-1), Decimal(110))
    assert position.realized_pnl == Decimal(20)


def test_marks_longs_at_bid_and_shorts_at_ask() -> None:
    """A position is worth what closing it at the touch would bring."""
    quote = Quote.of("BTCUSDT", "99", "101")
    long_position, short_position = make_position(), make_position()
    long_position.apply(make_fill("BUY", "1", "100"))
    short_position.apply(make_fill("SELL", "1", "100"))
    assert long_position.unrealized_pnl(quote) == Decimal(-1)
    assert short_position.unrealized_pnl(quote) == Decimal(-1)


def test_a_fee_in_the_base_asset_leaves_the_position() -> None:
    """A buy whose fee is taken in coins holds fewer coins, and lost their price."""
    position = make_position()
    position.apply(make_fill("BUY", "1", "100", fee="0.001", fee_asset="BTC"))
    assert position.quantity == Decimal("0.999")
    assert position.realized_pnl == Decimal("-0.100")


def test_a_fee_in_coins_costs_what_they_cost() -> None:
    """Profit is what the account is worth less what was paid, also when the average moved."""
    position = make_position()
    position.apply(make_fill("BUY", "10", "100", client_id="a"))
    position.apply(make_fill("BUY", "10", "200", fee="1", fee_asset="BTC", client_id="b"))
    assert position.quantity == Decimal(19)
    assert position.total_pnl(Quote.of("BTCUSDT", "300", "301")) == 19 * 300 - 10 * 100 - 10 * 200


def test_a_fee_in_a_third_asset_is_kept_apart() -> None:
    """A fee whose price is unknown is counted in its own asset, never guessed into the PnL."""
    position = make_position()
    position.apply(make_fill("BUY", "1", "100", fee="0.01", fee_asset="BNB"))
    position.apply(make_fill("SELL", "1", "100", fee="0.02", fee_asset="BNB"))
    assert position.realized_pnl == 0
    assert position.foreign_fees == {"BNB": Decimal("0.03")}


def test_counts_orders_not_fills() -> None:
    """Two fills of one order are one trade."""
    position = make_position()
    for client_id in ("a", "a", "b"):
        position.apply(make_fill("BUY", "1", "100", client_id=client_id))
    assert position.trade_count == 2


def test_daily_pnl_counts_from_the_roll() -> None:
    """After the roll of a day only what came since counts as daily, unrealized included."""
    position = make_position()
    position.apply(make_fill("BUY", "1", "100"))
    position.roll_day("2026-11-22", Quote.of("BTCUSDT", "110", "111"))
    later = Quote.of("BTCUSDT", "107", "108")
    assert position.total_pnl(later) - position.day_start_pnl == Decimal(-3)
    assert position.total_pnl(later) == Decimal(7)


@given(
    st.lists(st.tuples(st.sampled_from(["BUY", "SELL"]), QUANTITIES, PRICES), max_size=30),
    PRICES,
)
def test_total_pnl_equals_cash_flow(
    fills: list[tuple[str, Decimal, Decimal]], mark: Decimal
) -> None:
    """Whatever the order of fills, total PnL is cash received plus what is held, at the mark."""
    position = make_position()
    cash = Decimal(0)
    for side, quantity, price in fills:
        fee = quantity * price * Decimal("0.001")
        position.apply(make_fill(side, quantity, price, fee=fee))
        cash -= quantity * price * Side(side).sign + fee
    held = sum((q * Side(side).sign for side, q, _ in fills), Decimal(0))
    assert position.quantity == held
    total = position.total_pnl(Quote.of("BTCUSDT", mark, mark))
    assert abs(total - (cash + held * mark)) < Decimal("1e-6")
