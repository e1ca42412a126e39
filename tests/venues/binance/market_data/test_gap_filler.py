"""What was missed is fetched, and delivered in order or not at all."""

from decimal import Decimal

import msgspec
import trio
import trio.testing

from levitrio.trading.market import Bar, Trade
from levitrio.trading.order_book import DepthSnapshot
from tests.venues.binance.fake_venue import (
    candle_frame,
    frame_of,
    quote_frame,
    trade_frame,
    trade_ids,
)
from tests.venues.binance.feed_harness import FakeBackfill, FeedHarness, with_harness

START = 1723161240000


def late(*numbers: int) -> dict[int, Trade]:
    """What the venue's history has."""
    trade = Trade(
        symbol="BTCUSDT",
        trade_id=0,
        raw_price="100.5",
        raw_quantity="1",
        time_ms=1723161255342,
        buyer_is_maker=True,
        is_late=True,
    )
    return {n: msgspec.structs.replace(trade, trade_id=n) for n in numbers}


def minute(number: int) -> Bar:
    return Bar.of("BTCUSDT", "100", open_time=START + number * 60_000)


@with_harness("BTCUSDT", backfill=FakeBackfill(known_trades=late(4, 5, 6, 7)))
async def test_a_gap_is_filled_in_order(harness: FeedHarness) -> None:
    """Newer trades wait for the missing ones; those are marked, and none is twice."""
    send = harness.venue.sessions[0].send
    await send(*(trade_frame("BTCUSDT", n) for n in (1, 2, 3, 8, 9)), quote_frame("BTCUSDT", 1))
    await trio.testing.wait_all_tasks_blocked()
    assert trade_ids(harness.delivered["BTCUSDT"]) == [1, 2, 3]
    assert len(harness.delivered["BTCUSDT"]) == 4, "a quote waits for no trade"
    await trio.sleep(0.3)
    await send(trade_frame("BTCUSDT", 10))
    await trio.sleep(0.2)
    trades = [event for event in harness.delivered["BTCUSDT"] if isinstance(event, Trade)]
    assert [(trade.trade_id, trade.is_late) for trade in trades] == [
        (n, 4 <= n <= 7) for n in range(1, 11)
    ]
    statistics = harness.feed.statistics()
    assert (statistics.missing_trades, statistics.late_trades, statistics.lost_trades) == (4, 4, 0)
    assert harness.texts("feed_repaired") == ["BTCUSDT: 4 missing trades fetched and delivered"]
    state = harness.feed.input_state("BTCUSDT")
    assert state is not None
    assert (state.late_trades, state.lost_trades) == (4, 0)


@with_harness("BTCUSDT", backfill=FakeBackfill(known_trades=late(4, 5)))
async def test_a_gap_over_a_reconnect(harness: FeedHarness) -> None:
    """What was missed while there was no connection is fetched at the first trade after it."""
    await harness.venue.emit(*(trade_frame("BTCUSDT", n) for n in (1, 2, 3)))
    await harness.venue.sessions[0].cut()
    await trio.sleep(5)
    await harness.venue.emit(trade_frame("BTCUSDT", 3), trade_frame("BTCUSDT", 6))
    await trio.sleep(1)
    assert trade_ids(harness.delivered["BTCUSDT"]) == [1, 2, 3, 4, 5, 6]


@with_harness("BTCUSDT", backfill=FakeBackfill(known_trades=late(2, 3), delay=10.0))
async def test_no_trade_waits_longer_than_the_bound(harness: FeedHarness) -> None:
    """After two seconds the newer ones go on; what comes later is reported, not delivered."""
    await harness.venue.emit(trade_frame("BTCUSDT", 1), trade_frame("BTCUSDT", 4))
    await trio.sleep(1.9)
    assert trade_ids(harness.delivered["BTCUSDT"]) == [1]
    await trio.sleep(0.2)
    await harness.venue.emit(trade_frame("BTCUSDT", 5))
    assert trade_ids(harness.delivered["BTCUSDT"]) == [1, 4, 5]
    await trio.sleep(20)
    assert trade_ids(harness.delivered["BTCUSDT"]) == [1, 4, 5]
    assert harness.texts("feed_lost") == ["BTCUSDT: 2 missing trades came too late to be delivered"]
    assert harness.feed.statistics().lost_trades == 2


@with_harness("BTCUSDT", backfill=FakeBackfill(trouble="expected HTTP 200, got 503"))
async def test_a_venue_that_does_not_tell(harness: FeedHarness) -> None:
    """It is asked again with pauses, then the loss is reported with the venue's words."""
    await harness.venue.emit(trade_frame("BTCUSDT", 1), trade_frame("BTCUSDT", 4))
    await trio.sleep(40)
    assert trade_ids(harness.delivered["BTCUSDT"]) == [1, 4]
    assert harness.texts("feed_lost") == [
        "BTCUSDT: 2 missing trades could not be fetched: expected HTTP 200, got 503"
    ]
    assert harness.feed.statistics().lost_trades == 2


BACKFILL = FakeBackfill(known_trades=late(2, 5))


@with_harness("BTCUSDT", backfill=BACKFILL)
async def test_a_gap_that_grows(harness: FeedHarness) -> None:
    """A second hole behind the first is asked for as well; what no source has is lost."""
    await harness.venue.emit(*(trade_frame("BTCUSDT", n) for n in (1, 3)))
    await trio.sleep(0.3)  # the first question is on its way
    await harness.venue.emit(*(trade_frame("BTCUSDT", n) for n in (4, 7)))
    await trio.sleep(3)
    assert trade_ids(harness.delivered["BTCUSDT"]) == [1, 2, 3, 4, 5, 7]
    assert BACKFILL.asked == [[2], [5, 6]]
    assert harness.texts("feed_lost") == ["BTCUSDT: 1 missing trades could not be fetched"]


FAR = FakeBackfill()


@with_harness("BTCUSDT", backfill=FAR)
async def test_a_gap_too_long_to_fill(harness: FeedHarness) -> None:
    """Tens of thousands of trades are reported and not waited for."""
    await harness.venue.emit(trade_frame("BTCUSDT", 1), trade_frame("BTCUSDT", 10**7))
    assert trade_ids(harness.delivered["BTCUSDT"]) == [1, 10**7]
    await trio.sleep(5)
    assert FAR.asked == []
    assert harness.feed.statistics().lost_trades == 10**7 - 2


@with_harness("BTCUSDT", backfill=FakeBackfill(known_trades=late(2)))
async def test_ids_that_begin_anew_end_the_waiting(harness: FeedHarness) -> None:
    """A venue that counts from one again is followed at once, what waited goes first."""
    later = 1723161255342 + 120_000
    await harness.venue.emit(trade_frame("BTCUSDT", 1000), trade_frame("BTCUSDT", 1002))
    await harness.venue.emit(trade_frame("BTCUSDT", 1, later), trade_frame("BTCUSDT", 2, later))
    assert trade_ids(harness.delivered["BTCUSDT"]) == [1000, 1002, 1, 2]
    await trio.sleep(10)
    assert trade_ids(harness.delivered["BTCUSDT"]) == [1000, 1002, 1, 2]


@with_harness("BTCUSDT", backfill=FakeBackfill(known_trades=late(2)))
async def test_removed_while_something_waits(harness: FeedHarness) -> None:
    """A symbol that is gone gets nothing more, whatever is fetched for it."""
    await harness.venue.emit(trade_frame("BTCUSDT", 1), trade_frame("BTCUSDT", 3))
    harness.feed.remove("BTCUSDT")
    await trio.sleep(10)
    assert trade_ids(harness.delivered["BTCUSDT"]) == [1]


BARS = FakeBackfill(known_bars={minute(n).open_time_ms: minute(n) for n in range(10)})


@with_harness("BTCUSDT", backfill=BARS)
async def test_closed_bars_that_were_missed(harness: FeedHarness) -> None:
    """The candle open now shows which bars closed unseen; they come in order, each once."""
    venue = harness.venue
    await venue.emit(candle_frame("BTCUSDT", 0, closed=True))
    await venue.sessions[0].cut()
    await trio.sleep(5)
    await venue.emit(candle_frame("BTCUSDT", 3, closed=False))
    await trio.sleep(0.1)
    await venue.emit(candle_frame("BTCUSDT", 3, closed=True))
    await trio.sleep(1)
    await venue.emit(candle_frame("BTCUSDT", 4, closed=True))
    opened = [e.open_time_ms for e in harness.delivered["BTCUSDT"] if isinstance(e, Bar)]
    assert opened == [START + n * 60_000 for n in range(5)]
    assert BARS.asked == [("1m", START + 60_000, START + 120_000)]
    assert harness.feed.statistics().missing_bars == 2
    assert harness.texts("feed_repaired") == ["BTCUSDT: 2 missing bars of 1m fetched and delivered"]
    assert harness.texts("feed_gap") == [
        "BTCUSDT: 2 bars of 1m are missing before 2024-08-08 23:57:00"
    ]


@with_harness("BTCUSDT", backfill=FakeBackfill())
async def test_a_bar_that_is_only_late(harness: FeedHarness) -> None:
    """The closed bar that comes right after the next has begun needs no help."""
    venue = harness.venue
    await venue.emit(
        candle_frame("BTCUSDT", 0, closed=True),
        candle_frame("BTCUSDT", 2, closed=False),
        candle_frame("BTCUSDT", 1, closed=True),
        candle_frame("BTCUSDT", 1, closed=True),
    )
    opened = [e.open_time_ms for e in harness.delivered["BTCUSDT"] if isinstance(e, Bar)]
    assert opened == [START, START + 60_000]
    await trio.sleep(5)
    assert harness.texts("feed_lost") == []
    assert harness.feed.statistics().dropped == {"duplicate": 1}


def depth_frame(first: int, final: int, bid: str, quantity: str = "1.0") -> str:
    data = {
        "e": "depthUpdate",
        "E": START,
        "s": "BTCUSDT",
        "U": first,
        "u": final,
        "b": [[bid, quantity]],
        "a": [],
    }
    return frame_of("btcusdt@depth@100ms", data)


def snapshot(last_id: int, bid: str) -> DepthSnapshot:
    return DepthSnapshot(last_id=last_id, bids=[(bid, "1")], asks=[("200", "1")])


ORDER_BOOKS = FakeBackfill(snapshots=[snapshot(3, "99"), snapshot(11, "99"), snapshot(30, "120")])


@with_harness("BTCUSDT", streams=("depth@100ms",), backfill=ORDER_BOOKS)
async def test_a_local_order_book(harness: FeedHarness) -> None:
    """A gap starts the book anew; a snapshot that is too old is fetched again."""
    order_book = harness.feed.order_book("BTCUSDT")
    assert order_book is not None
    await harness.venue.emit(depth_frame(10, 12, "100"), depth_frame(13, 13, "101"))
    assert not order_book.is_live
    await trio.sleep(0.15)
    assert not order_book.is_live
    await trio.sleep(2)
    assert order_book.is_live
    assert order_book.bids(1) == [(Decimal(101), Decimal(1))]
    await harness.venue.emit(depth_frame(13, 13, "150"), depth_frame(20, 31, "110"))
    assert not order_book.is_live
    await trio.sleep(1)
    assert order_book.bids(1) == [(Decimal(120), Decimal(1))]
    assert order_book.last_id == 31
    assert harness.texts("feed_gap") == ["BTCUSDT: order book thrown away: gap"]
    assert harness.feed.statistics().dropped == {"duplicate": 1}
    assert harness.delivered["BTCUSDT"] == []
    assert harness.feed.last_received("BTCUSDT") is not None


@with_harness("BTCUSDT", streams=("depth@100ms",), backfill=FakeBackfill(trouble="no"))
async def test_a_book_without_a_snapshot(harness: FeedHarness) -> None:
    """It waits, asks now and then, and says so once."""
    await harness.venue.emit(depth_frame(10, 12, "100"))
    await trio.sleep(300)
    order_book = harness.feed.order_book("BTCUSDT")
    assert order_book is not None
    assert not order_book.is_live
    assert harness.texts("feed_lost") == ["BTCUSDT: no order book yet: no"]


@with_harness("BTCUSDT")
async def test_without_a_history_nothing_waits(harness: FeedHarness) -> None:
    """A feed that cannot ask delivers what it has, at once, and keeps no book."""
    await harness.venue.emit(trade_frame("BTCUSDT", 1), trade_frame("BTCUSDT", 3))
    assert trade_ids(harness.delivered["BTCUSDT"]) == [1, 3]
    assert harness.feed.statistics().lost_trades == 1
    assert harness.feed.order_book("BTCUSDT") is None
    assert harness.feed.order_book("XUSDT") is None
