"""The matching engine: what fills, rests, expires, and is triggered."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levitrio.trading.market import Quote
from levitrio.trading.matching import MatchingEngine, touch_price
from levitrio.trading.orders import OrderType, Side
from levitrio.trading.venue_orders import Depth, Ending, RestingOrder, TimeInForce

D = Decimal
BUY, SELL = Side.BUY, Side.SELL


def depth(
    bids: list[tuple[str, str]] | None = None,
    asks: list[tuple[str, str]] | None = None,
    update_id: int = 1,
) -> Depth:
    below = bids if bids is not None else [("99", "1"), ("98", "2")]
    above = asks if asks is not None else [("101", "1"), ("102", "2")]
    return Depth(
        bids=[(D(price), D(quantity)) for price, quantity in below],
        asks=[(D(price), D(quantity)) for price, quantity in above],
        update_id=update_id,
    )


_ids = iter(range(1, 10**9))


def order(
    side: Side = BUY, quantity: str = "1", price: str | None = None, **more: Any
) -> RestingOrder:
    return RestingOrder(
        order_id=next(_ids),
        side=side,
        type=more.pop("type", OrderType.LIMIT if price else OrderType.MARKET),
        quantity=D(quantity),
        price=D(price) if price else None,
        **more,
    )


def arrive(
    order_book: MatchingEngine, arriving: RestingOrder, at: Depth
) -> tuple[list[tuple[str, str]], Ending]:
    """Plan and execute; the order's own fills as text, and its ending."""
    plan = order_book.plan(arriving, at)
    done = order_book.carry_out(arriving, plan)
    got = [(str(each.price), str(each.quantity)) for each in done if each.order is arriving]
    return got, plan.ending


def test_a_market_order_walks_the_levels() -> None:
    """Best price first; each level gives what it has."""
    got, ending = arrive(MatchingEngine(), order(quantity="2.5"), depth())
    assert got == [("101", "1"), ("102", "1.5")]
    assert ending is Ending.NOTHING_LEFT


def test_a_market_order_larger_than_the_market_expires_in_part() -> None:
    """What the levels do not hold is not filled at some made-up price."""
    got, ending = arrive(MatchingEngine(), order(SELL, "4"), depth())
    assert got == [("99", "1"), ("98", "2")]
    assert ending is Ending.NO_LIQUIDITY


def test_a_market_order_by_amount() -> None:
    """The quantity is what the money buys, rounded down to the step, and then all of it."""
    order_book = MatchingEngine(D("0.01"))
    arriving = order(quantity="0", quote_quantity=D(152))
    got, ending = arrive(order_book, arriving, depth())
    assert got == [("101", "1"), ("102", "0.5")]
    assert ending is Ending.NOTHING_LEFT
    assert arriving.quantity == arriving.filled == D("1.50")


@pytest.mark.parametrize(
    ("price", "tif", "expected", "ending", "resting"),
    [
        ("100", TimeInForce.GTC, [], Ending.RESTS, 1),
        ("101", TimeInForce.GTC, [("101", "1")], Ending.RESTS, 1),
        ("101", TimeInForce.IOC, [("101", "1")], Ending.IOC_EXPIRES, 0),
        ("101", TimeInForce.FOK, [], Ending.FOK_EXPIRES, 0),
        ("102", TimeInForce.FOK, [("101", "1"), ("102", "1")], Ending.NOTHING_LEFT, 0),
        ("102", TimeInForce.GTC, [("101", "1"), ("102", "1")], Ending.NOTHING_LEFT, 0),
    ],
)
def test_a_limit_order_by_time_in_force(
    price: str, tif: TimeInForce, expected: list[tuple[str, str]], ending: Ending, resting: int
) -> None:
    """GTC rests, IOC expires the rest, FOK takes all or nothing."""
    order_book = MatchingEngine()
    arriving = order(BUY, "2", price, time_in_force=tif)
    assert arrive(order_book, arriving, depth()) == (expected, ending)
    assert len(order_book) == resting


@pytest.mark.parametrize(
    ("price", "ending"), [("100.99", Ending.RESTS), ("101", Ending.WOULD_TAKE)]
)
def test_a_maker_never_takes(price: str, ending: Ending) -> None:
    """At the other side's price it is refused, below it rests."""
    arriving = order(BUY, "1", price, type=OrderType.LIMIT_MAKER)
    assert arrive(MatchingEngine(), arriving, depth()) == ([], ending)


def test_what_was_taken_is_gone_until_the_level_is_told_anew() -> None:
    """Two orders cannot both take the one unit at the touch; the next update brings it back."""
    order_book = MatchingEngine()
    assert arrive(order_book, order(), depth())[0] == [("101", "1")]
    assert arrive(order_book, order(), depth())[0] == [("102", "1")]
    assert arrive(order_book, order(), depth(update_id=2))[0] == [("101", "1")]


def test_a_plan_changes_nothing() -> None:
    """Planned twice, the plan is the same: an order that is not executed takes no level."""
    order_book = MatchingEngine()
    arriving = order(quantity="3")
    assert order_book.plan(arriving, depth()) == order_book.plan(arriving, depth())
    assert arriving.filled == 0


def test_trades_fill_what_rests_by_price_and_time() -> None:
    """The better price first, then the market's unit at 99, then who of us came first; each at its
    own price, all within the trade."""
    order_book = MatchingEngine()
    first, better, second = order(BUY, "1", "99"), order(BUY, "1", "99.5"), order(BUY, "1", "99")
    for each in (first, better, second):
        arrive(order_book, each, depth())
    done = order_book.traded(D(99), D("3.5"), SELL)
    assert [(each.order, each.price, each.quantity) for each in done] == [
        (better, D("99.5"), D(1)),
        (first, D(99), D(1)),
        (second, D(99), D("0.5")),
    ]
    assert all(each.is_maker for each in done)
    assert len(order_book) == 1


def test_trades_elsewhere_fill_nothing() -> None:
    """A trade above a buy, or one whose taker bought, does not reach it."""
    order_book = MatchingEngine()
    arrive(order_book, order(BUY, "1", "99"), depth())
    assert order_book.traded(D("99.01"), D(5), SELL) == []
    assert order_book.traded(D(99), D(5), BUY) == []


def test_what_stood_there_first_trades_first() -> None:
    """Two units rested at 99 before us: the first two traded are theirs, the third is ours."""
    order_book = MatchingEngine()
    resting = order(BUY, "3", "99")
    arrive(order_book, resting, depth([("99", "2")]))
    assert order_book.traded(D(99), D("1.5"), SELL) == []
    assert [each.quantity for each in order_book.traded(D(99), D(1), SELL)] == [D("0.5")]
    assert [each.quantity for each in order_book.traded(D(99), D(1), SELL)] == [D(1)]


def test_a_trade_below_has_taken_everybody() -> None:
    """A sale at 98.9 proves that no order was left at 99: the quantity ahead there is gone."""
    order_book = MatchingEngine()
    resting = order(BUY, "3", "99")
    arrive(order_book, resting, depth([("99", "50")]))
    assert [each.quantity for each in order_book.traded(D("98.9"), D(1), SELL)] == [D(1)]
    assert [each.quantity for each in order_book.traded(D(99), D(1), SELL)] == [D(1)]


@pytest.mark.parametrize(
    ("bids", "ahead"),
    [
        ([("99", "80")], "50"),  # who comes later stands behind us
        ([("99", "4")], "4"),
        ([("98", "80")], "0"),  # the level is gone
        ([("100", "80")], "50"),  # deeper levels are not known
        ([], "50"),
    ],
)
def test_the_queue_shrinks_with_its_level(bids: list[tuple[str, str]], ahead: str) -> None:
    """The quantity ahead never grows, and never exceeds the level."""
    order_book = MatchingEngine()
    resting = order(BUY, "3", "99")
    arrive(order_book, resting, depth([("99", "50")]))
    order_book.moved(depth(bids, update_id=2))
    assert resting.ahead == D(ahead)


@given(
    st.integers(0, 9),
    st.lists(
        st.tuples(st.sampled_from(["at", "below", "shrinks"]), st.integers(1, 4)), max_size=12
    ),
)
def test_a_queue_is_never_jumped(stood: int, steps: list[tuple[str, int]]) -> None:
    """Until a trade goes through: what we got and what was ahead of us is what traded there."""
    order_book, resting = MatchingEngine(), order(BUY, "99", "99")
    arrive(order_book, resting, depth([("99", str(stood))] if stood else [("98", "1")]))
    traded = gone = 0
    for update, (what, size) in enumerate(steps, start=2):
        if what == "below":
            before = resting.filled
            order_book.traded(D(98), D(size), SELL)
            assert resting.filled - before == size
            assert resting.ahead == 0
            return
        if what == "at":
            order_book.traded(D(99), D(size), SELL)
            traded += size
        else:
            left = max(int(resting.ahead) - size, 0)
            gone += int(resting.ahead) - left
            order_book.moved(
                depth([("99", str(left))] if left else [("98", "1")], update_id=update)
            )
        assert resting.filled == max(0, traded - (stood - gone))
        assert resting.ahead == max(0, stood - gone - traded)


def test_the_market_comes_to_a_resting_order() -> None:
    """A level at our price or through it fills us at our price, and only once."""
    order_book = MatchingEngine()
    resting = order(BUY, "3", "100")
    arrive(order_book, resting, depth())
    moved = depth(asks=[("99.5", "1"), ("100", "1"), ("100.5", "9")], update_id=2)
    done = order_book.moved(moved)
    assert [(each.price, each.quantity) for each in done] == [(D(100), D(1)), (D(100), D(1))]
    assert order_book.moved(moved) == []
    assert resting.remaining == 1


def test_our_own_orders_meet() -> None:
    """An incoming order fills against a resting one of ours when that is the best offer."""
    order_book = MatchingEngine()
    resting = order(SELL, "1", "100.5")
    arrive(order_book, resting, depth())
    arriving = order(BUY, "2", "101")
    done = order_book.carry_out(arriving, order_book.plan(arriving, depth()))
    assert [(each.order, each.price, each.is_maker) for each in done] == [
        (resting, D("100.5"), True),
        (arriving, D("100.5"), False),
        (arriving, D(101), False),
    ]
    assert len(order_book) == 0


def test_at_one_price_the_market_comes_before_us() -> None:
    """The market's level rested first; worse levels come after our order."""
    order_book = MatchingEngine()
    resting = order(SELL, "1", "101")
    arrive(order_book, resting, depth())
    done = arrive(order_book, order(BUY, "2.5"), depth())
    assert done[0] == [("101", "1"), ("101", "1"), ("102", "0.5")]


def test_a_trade_wakes_what_sleeps() -> None:
    """A stop wakes at its price or beyond, on its own side, once."""
    order_book = MatchingEngine()
    stop_loss = order(SELL, "1", stop_price=D(95))
    take_profit = order(SELL, "1", stop_price=D(105), wakes_rising=True)
    order_book.sleep(stop_loss)
    order_book.sleep(take_profit)
    assert order_book.woken(D(100)) == []
    assert order_book.woken(D("94.9")) == [stop_loss]
    assert order_book.woken(D(94)) == []
    assert order_book.woken(D(105)) == [take_profit]
    assert len(order_book) == 0


def test_removing() -> None:
    """A cancelled order gets nothing more; removing what is not there is no error."""
    order_book = MatchingEngine()
    resting, sleeping = order(BUY, "1", "99"), order(SELL, "1", stop_price=D(95))
    arrive(order_book, resting, depth())
    order_book.sleep(sleeping)
    for _ in range(2):
        order_book.remove(resting)
        order_book.remove(sleeping)
    assert len(order_book) == 0
    assert order_book.traded(D(90), D(5), SELL) == []


def test_an_empty_market() -> None:
    """Without levels a market order gets nothing and a limit order rests."""
    empty = depth([], [])
    assert arrive(MatchingEngine(), order(), empty) == ([], Ending.NO_LIQUIDITY)
    assert arrive(MatchingEngine(), order(BUY, "1", "1"), empty) == ([], Ending.RESTS)


def test_the_touch() -> None:
    """A quote is a depth of one level; slippage makes it worse for both sides."""
    quote = Quote.of("X", 99, 101, bid_quantity=3, ask_quantity=4, update_id=7)
    assert Depth.of(quote) == Depth(bids=((D(99), D(3)),), asks=((D(101), D(4)),), update_id=7)
    assert touch_price(BUY, quote, D("0.01")) == D("102.01")
    assert touch_price(SELL, quote, D("0.01")) == D("98.01")


prices = st.integers(95, 105).map(str)
sizes = st.integers(1, 5).map(str)


@given(
    st.lists(
        st.tuples(st.sampled_from(["buy", "sell", "trade", "move"]), prices, sizes, st.booleans()),
        max_size=40,
    )
)
def test_quantities_add_up(steps: list[tuple[str, str, str, bool]]) -> None:
    """In any sequence no order is overfilled or filled beyond its price, and the engine keeps
    exactly what is left."""
    order_book = MatchingEngine()
    placed: list[RestingOrder] = []
    update = 1
    done = []
    for what, price, size, is_market in steps:
        if what in {"buy", "sell"}:
            side = BUY if what == "buy" else SELL
            arriving = order(side, size, None if is_market else price)
            plan = order_book.plan(arriving, depth(update_id=update))
            done += order_book.carry_out(arriving, plan)
            if plan.ending is Ending.RESTS:
                placed.append(arriving)
        elif what == "trade":
            done += order_book.traded(D(price), D(size), BUY if is_market else SELL)
        else:
            update += 1
            touch = D(price)
            done += order_book.moved(
                depth([(str(touch - 1), size)], [(str(touch + 1), size)], update_id=update)
            )
    for each in done:
        assert each.quantity > 0
        assert each.order.crosses(each.price)
        assert 0 <= each.order.filled <= each.order.quantity
    assert len(order_book) == sum(1 for each in placed if each.remaining)
    assert all(
        sum(each.quantity for each in done if each.order is one) == one.filled for one in placed
    )
