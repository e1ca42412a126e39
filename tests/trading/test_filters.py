"""The venue's filters: by hand, and against a checker written from the rules' text alone."""

import gzip
import json
from decimal import Decimal, DecimalException
from fractions import Fraction
from math import ceil
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levitrio.trading.filter_parsing import parse_filters
from levitrio.trading.filters import (
    FilterFacts,
    NotionalBounds,
    ProposedOrder,
    Range,
    SymbolFilters,
    SymbolRules,
    failed_filters,
    passive_price,
    round_down,
)
from levitrio.trading.orders import Side
from tests.paths import SHARED

EXCHANGE_INFO = SHARED / "cryptofeed" / "BINANCE_2021-10-11.exchangeInfo.http.gz"

D = Decimal
FACTS = FilterFacts(reference_price=D(100))

NEW_KINDS: list[dict[str, Any]] = [
    {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000", "tickSize": "0.01"},
    {"filterType": "LOT_SIZE", "minQty": "0.1", "maxQty": "900", "stepSize": "0.1"},
    {"filterType": "MARKET_LOT_SIZE", "minQty": "0", "maxQty": "50", "stepSize": "0"},
    {
        "filterType": "NOTIONAL",
        "minNotional": "5",
        "applyMinToMarket": True,
        "maxNotional": "9000",
        "applyMaxToMarket": False,
        "avgPriceMins": 5,
    },
    {
        "filterType": "PERCENT_PRICE_BY_SIDE",
        "bidMultiplierUp": "1.2",
        "bidMultiplierDown": "0.2",
        "askMultiplierUp": "5",
        "askMultiplierDown": "0.8",
        "avgPriceMins": 1,
    },
    {
        "filterType": "TRAILING_DELTA",
        "minTrailingAboveDelta": 10,
        "maxTrailingAboveDelta": 2000,
        "minTrailingBelowDelta": 20,
        "maxTrailingBelowDelta": 1000,
    },
    {"filterType": "ICEBERG_PARTS", "limit": 50},
    {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 3},
    {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 2},
    {"filterType": "MAX_NUM_ICEBERG_ORDERS", "maxNumIcebergOrders": 1},
    {"filterType": "MAX_POSITION", "maxPosition": "600"},
    {"filterType": "T_PLUS_SELL", "endTime": 1},
]


def limit(side: Side = Side.BUY, **changes: Any) -> ProposedOrder:
    fields: dict[str, Any] = {
        "side": side,
        "is_market": False,
        "quantity": D(1),
        "price": D(100),
    }
    return ProposedOrder(**{**fields, **changes})


def market(side: Side = Side.BUY, **changes: Any) -> ProposedOrder:
    return ProposedOrder(**{"side": side, "is_market": True, "quantity": D(1), **changes})


@pytest.mark.parametrize(
    ("order", "failures"),
    [
        (limit(), []),
        (limit(price=D("100.00000001")), ["PRICE_FILTER"]),
        (limit(price=D("1000.01"), quantity=D("0.1")), ["PRICE_FILTER", "PERCENT_PRICE_BY_SIDE"]),
        (limit(price=D("120.00")), []),
        (limit(price=D("120.01")), ["PERCENT_PRICE_BY_SIDE"]),
        (limit(Side.SELL, price=D("79.99")), ["PERCENT_PRICE_BY_SIDE"]),
        (limit(stop_price=D("0.001")), ["PRICE_FILTER"]),
        (limit(quantity=D("1.05")), ["LOT_SIZE"]),
        (limit(quantity=D("90.1")), ["NOTIONAL"]),
        (limit(price=D(20), quantity=D("0.2")), ["NOTIONAL"]),
        (market(quantity=D("50.1")), ["MARKET_LOT_SIZE"]),
        (market(quantity=D("0.1")), []),
        (market(quantity=None, quote_quantity=D("4.99")), ["NOTIONAL"]),
        (market(quantity=None, quote_quantity=D("9999")), []),
        (limit(quantity=D(51), iceberg_quantity=D(1)), ["ICEBERG_PARTS"]),
        (limit(quantity=D(50), iceberg_quantity=D(1)), []),
        (limit(trailing_delta=15), ["TRAILING_DELTA"]),
        (limit(trailing_delta=15, trails_above=True), []),
    ],
)
def test_each_filter(order: ProposedOrder, failures: list[str]) -> None:
    """Each rule on both sides of its bound."""
    assert list(failed_filters(parse_filters(NEW_KINDS), order, FACTS)) == failures


def test_counts_and_positions() -> None:
    """Open orders count by kind; a market order does not rest, so it is not counted."""
    filters = parse_filters(NEW_KINDS)
    full = FilterFacts(
        reference_price=D(100),
        open_orders=3,
        open_algo_orders=2,
        open_iceberg_orders=1,
        position=D("599.5"),
    )
    order = limit(is_algo=True, iceberg_quantity=D("0.5"))
    assert failed_filters(filters, order, full) == (
        "MAX_NUM_ORDERS",
        "MAX_NUM_ALGO_ORDERS",
        "MAX_NUM_ICEBERG_ORDERS",
        "MAX_POSITION",
    )
    assert failed_filters(filters, market(Side.SELL), full) == ()


def test_no_filters_refuse_nothing() -> None:
    """A venue without filters takes any number."""
    assert failed_filters(SymbolFilters(), limit(price=D("1e-20")), FACTS) == ()
    assert SymbolFilters().average_minutes == 0


def test_what_sizing_needs() -> None:
    """Steps and the highest floor go to the sizing; the longest average is known."""
    filters = parse_filters(NEW_KINDS)
    rules = filters.rules()
    assert (rules.tick, rules.step, rules.min_notional) == (D("0.01"), D("0.1"), D(5))
    assert filters.average_minutes == 5


def lot(kind: str, least: str, most: str, step: str) -> dict[str, Any]:
    return {"filterType": kind, "minQty": least, "maxQty": most, "stepSize": step}


def worth(*, least_applies: bool, most_applies: bool) -> dict[str, Any]:
    return {
        "filterType": "NOTIONAL",
        "minNotional": "5",
        "applyMinToMarket": least_applies,
        "maxNotional": "9000",
        "applyMaxToMarket": most_applies,
        "avgPriceMins": 5,
    }


def test_a_market_order_keeps_to_the_stricter_lot() -> None:
    """LOT_SIZE and MARKET_LOT_SIZE both hold for it; a 0 of either is no rule."""
    filters = parse_filters(
        [lot("LOT_SIZE", "0.2", "900", "0.2"), lot("MARKET_LOT_SIZE", "0.5", "50.5", "0.3")]
    )
    rules = filters.rules()
    assert (rules.step, rules.min_quantity, rules.max_quantity) == (D("0.6"), D("0.5"), D("50.5"))
    rules = filters.rules(is_market=False)
    assert (rules.step, rules.min_quantity, rules.max_quantity) == (D("0.2"), D("0.2"), D(900))
    rules = parse_filters(
        [lot("LOT_SIZE", "0.1", "900", "0.1"), lot("MARKET_LOT_SIZE", "0", "0", "0")]
    ).rules()
    assert (rules.step, rules.min_quantity, rules.max_quantity) == (D("0.1"), D("0.1"), D(900))


@pytest.mark.parametrize("applies", [True, False])
def test_notional_bounds_where_they_apply_to_the_market(applies: bool) -> None:
    """What does not apply to MARKET orders binds those with a price only."""
    rules = parse_filters([worth(least_applies=applies, most_applies=applies)]).rules()
    expected = (D(5), D(9000)) if applies else (D(0), D(0))
    assert (rules.min_notional, rules.max_notional) == expected
    old = {"filterType": "MIN_NOTIONAL", "minNotional": "7", "avgPriceMins": 0}
    rules = parse_filters([{**old, "applyToMarket": applies}]).rules()
    assert rules.min_notional == (7 if applies else 0)
    limits = parse_filters([worth(least_applies=applies, most_applies=applies)])
    assert limits.rules(is_market=False).max_notional == 9000


@pytest.mark.parametrize("number", ["NaN", "-1", "Infinity", "sNaN", "", "much", None])
@pytest.mark.parametrize("field", ["minQty", "maxQty", "stepSize"])
def test_filters_that_are_no_numbers(field: str, number: object) -> None:
    """Nothing is compared with what cannot be: the whole symbol is refused."""
    with pytest.raises((ValueError, TypeError, DecimalException)):
        parse_filters([{**lot("LOT_SIZE", "1", "2", "1"), field: number}])


STEPS = st.sampled_from(["0", "1", "0.1", "0.3", "0.001", "0.00000001", "25"]).map(D)
AMOUNTS = st.decimals("0", "100000", places=8)


@st.composite
def filters_of_a_symbol(draw: st.DrawFn) -> SymbolFilters:
    """Any mixture of lots and notional bounds whose maxima are above the minima."""

    def one() -> Range:
        least = draw(st.decimals("0", "10", places=3))
        most = draw(st.sampled_from([D(0), least * 3 + 60, D(90_000)]))
        return Range(least=least, most=most, step=draw(STEPS))

    least = draw(st.decimals("0", "10", places=2))
    bounds = NotionalBounds(
        least=least,
        most=draw(st.sampled_from([D(0), least + 500_000])),
        least_applies_to_market=draw(st.booleans()),
        most_applies_to_market=draw(st.booleans()),
    )
    return SymbolFilters(lot=one(), market_lot=draw(st.none() | st.builds(one)), notional=bounds)


PRICES = st.decimals("0.00000001", "100000", places=8)


@given(filters_of_a_symbol(), AMOUNTS, PRICES, st.booleans())
def test_what_fits_passes_the_filters(
    filters: SymbolFilters, quantity: Decimal, price: Decimal, is_market: bool
) -> None:
    """Never more than was wanted, and the venue's own verdict is that nothing fails."""
    fits = filters.rules(is_market=is_market).fitting(quantity, price)
    assert 0 <= fits <= quantity
    if fits:
        order = ProposedOrder(
            side=Side.BUY,
            is_market=is_market,
            quantity=fits,
            price=None if is_market else price,
        )
        assert failed_filters(filters, order, FilterFacts(reference_price=price)) == ()


@given(
    st.decimals("0.001", "5000", places=3),
    st.sampled_from(["0.001", "0.1", "1"]).map(D),
    st.decimals("2", "60", places=1),
)
def test_portions_close_a_position(quantity: Decimal, step: Decimal, most: Decimal) -> None:
    """In as few orders as the maximum allows; what is left at the end is less than a step."""
    rules = SymbolRules(step=step, max_quantity=most, min_notional=D(0))
    left, orders = quantity, 0
    while portion := rules.portion(left, D(100)):
        assert portion <= most
        assert portion % step == 0
        left -= portion
        orders += 1
    assert 0 <= left < step
    largest = round_down(most, step)
    assert orders == ceil(Fraction(round_down(quantity, step)) / Fraction(largest))


def test_no_portion_is_too_small_for_the_next() -> None:
    """10.3 at a maximum of 10 is 5.1 and 5.2: three tenths alone would be dust."""
    rules = SymbolRules(step=D("0.1"), max_quantity=D(10), min_notional=D(50))
    assert rules.portion(D("10.3"), D(100)) == D("5.1")
    assert rules.portion(D("5.2"), D(100)) == D("5.2")
    assert rules.portion(D("0.3"), D(100)) == 0


def test_large_numbers_stay_exact() -> None:
    """Twenty digits before the point and eight after it: more than the usual context holds."""
    lot = Range(step=D("0.00000001"))
    assert lot.admits(D("99999999999999999999.00000001"))
    assert not lot.admits(D("99999999999999999999.000000005"))


@pytest.mark.parametrize(
    ("side", "price", "expected"),
    [
        (Side.BUY, "1.29", "1.2"),
        (Side.SELL, "1.21", "1.3"),
        (Side.BUY, "1.2", "1.2"),
        (Side.SELL, "1.2", "1.2"),
    ],
)
def test_prices_round_to_the_passive_side(side: Side, price: str, expected: str) -> None:
    """A buy goes down and a sale up, so that rounding never takes."""
    assert passive_price(side, D(price), D("0.1")) == D(expected)


def test_a_step_of_zero_rounds_nothing() -> None:
    """0 disables a rule, also here."""
    assert round_down(D("1.23"), D(0)) == D("1.23")
    assert passive_price(Side.BUY, D("1.23"), D(0)) == D("1.23")


def independent_verdict(filters: list[dict[str, Any]], order: dict[str, Any]) -> set[str]:
    """The rules' text once more, in fractions, on the JSON itself."""
    failed = set()
    price = Fraction(order["price"]) if "price" in order else None
    quantity = Fraction(order["quantity"])
    average = Fraction(order["average"])
    worth = quantity * (average if price is None else price)
    for item in filters:
        kind = item["filterType"]

        def outside(value: Fraction, least: str, most: str, step: str, item: Any = item) -> bool:
            low, high, grid = (Fraction(item[name]) for name in (least, most, step))
            return bool(
                (low and value < low) or (high and value > high) or (grid and value % grid != 0)
            )

        if kind == "PRICE_FILTER":
            bad = price is not None and outside(price, "minPrice", "maxPrice", "tickSize")
        elif kind == "LOT_SIZE":
            bad = outside(quantity, "minQty", "maxQty", "stepSize")
        elif kind == "MARKET_LOT_SIZE":
            bad = price is None and outside(quantity, "minQty", "maxQty", "stepSize")
        elif kind == "MIN_NOTIONAL":
            applies = price is not None or item["applyToMarket"]
            bad = applies and worth < Fraction(item["minNotional"])
        elif kind == "PERCENT_PRICE":
            up, down = Fraction(item["multiplierUp"]), Fraction(item["multiplierDown"])
            bad = price is not None and not average * down <= price <= average * up
        elif kind == "MAX_NUM_ORDERS":
            bad = price is not None and order["open"] >= item["maxNumOrders"]
        elif kind == "MAX_POSITION":
            held = Fraction(order["position"])
            bad = order["side"] == "BUY" and held + quantity > Fraction(item["maxPosition"])
        else:
            assert kind in {"ICEBERG_PARTS", "MAX_NUM_ALGO_ORDERS"}
            bad = False
        if bad:
            failed.add(kind)
    return failed


def random_order(random: Random, symbol: dict[str, Any]) -> dict[str, Any]:
    """An order near the bounds of the symbol's own filters, good and bad about evenly."""
    by_kind = {item["filterType"]: item for item in symbol["filters"]}
    tick = D(by_kind["PRICE_FILTER"]["tickSize"])
    step = D(by_kind["LOT_SIZE"]["stepSize"])
    average = D(random.randint(1, 10**6)) * tick
    price = average * D(random.choice(["0.1", "0.2", "0.99", "1", "1.01", "5", "5.1"]))
    price = max(tick, (price / tick).to_integral_value() * tick)
    least = D(by_kind["MIN_NOTIONAL"]["minNotional"]) / price
    quantity = max(D(0), (least / step).to_integral_value() + random.randint(-1, 3)) * step
    quantity *= random.choice([1, 1, 1, 1, 10**3, 10**7])
    if random.random() < 0.1:
        quantity += step / 2
    if random.random() < 0.1:
        price += tick / 2
    order = {
        "side": random.choice(["BUY", "SELL"]),
        "quantity": str(quantity),
        "average": str(average),
        "open": random.choice([0, 199, 200]),
        "position": str(random.choice([0, 10**5, 10**9])),
    }
    if random.random() < 0.7:
        order["price"] = str(price)
    return order


@pytest.mark.skipif(not EXCHANGE_INFO.exists(), reason="no ../shared/data beside the checkout")
def test_verdicts_equal_an_independent_checker() -> None:
    """10,000 orders around the bounds of real filters: each verdict is that of the rules' text."""
    with gzip.open(EXCHANGE_INFO, "rt") as file:
        text = file.readline().split(": ", 1)[1]
    symbols = json.loads(text)["symbols"]
    random = Random(11)
    passed = 0
    for _ in range(10_000):
        symbol = random.choice(symbols)
        order = random_order(random, symbol)
        proposed = ProposedOrder(
            side=Side(order["side"]),
            is_market="price" not in order,
            quantity=D(order["quantity"]),
            price=D(order["price"]) if "price" in order else None,
        )
        facts = FilterFacts(
            reference_price=D(order["average"]),
            open_orders=order["open"],
            position=D(order["position"]),
        )
        failures = failed_filters(parse_filters(symbol["filters"]), proposed, facts)
        assert set(failures) == independent_verdict(symbol["filters"], order), order
        passed += not failures
    assert 1_000 < passed < 9_000
