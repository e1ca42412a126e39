"""What a venue may do to a whole feed at once (catalogue of faults and bad input)."""

from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from levitrio.engine.inbox import Inbox
from levitrio.trading.market import Quote, Trade
from tests.venues.binance.fake_venue import (
    candle_frame,
    frame_of,
    quote_frame,
    trade_frame,
    trade_ids,
    update_ids,
)
from tests.venues.binance.feed_harness import FeedHarness, with_harness

SOUND_TRADE: dict[str, Any] = {
    "e": "trade", "E": 1723161255342, "s": "BTCUSDT", "t": 2, "p": "100.5", "q": "1",
    "T": 1723161255342, "m": True, "M": True,
}  # fmt: skip


def trade_with(**fields: object) -> str:
    return frame_of("btcusdt@trade", SOUND_TRADE | fields)


HOSTILE = {
    "another symbol": ("wrong_symbol", trade_with(s="ETHUSDT")),
    "lower case": ("wrong_symbol", trade_with(s="btcusdt")),
    "NaN": ("price", trade_with(p="NaN")),
    "null": ("malformed", trade_with(p=None)),
    "a shifted point": ("price_band", trade_with(p="1005")),
    "a negative quantity": ("quantity", trade_with(q="-1")),
    "crossed": ("crossed", quote_frame("BTCUSDT", 2, bid="102.00")),
    "an empty side": ("price", quote_frame("BTCUSDT", 2, bid="0.00000000")),
    "an id far ahead": ("sequence", trade_with(t=2**62)),
    "seconds": ("time", trade_with(T=1723161255)),
    "high below low": (
        "candle",
        candle_frame("BTCUSDT", 0, closed=True).replace('"h":"100"', '"h":"99"'),
    ),
    "off its grid": (
        "candle",
        candle_frame("BTCUSDT", 0, closed=True).replace("1723161240000", "1723161240001"),
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_ten_of_a_kind_suspend(name: str, autojump_clock: MockClock) -> None:
    """Section C: dropped and counted, never delivered; the tenth suspends and resubscribes."""
    reason, frame = HOSTILE[name]
    async with trio.open_nursery() as nursery:
        harness = FeedHarness(nursery, ["BTCUSDT", "ETHUSDT"])
        await nursery.start(harness.feed.run)
        (session,) = harness.venue.sessions
        await harness.venue.emit(trade_frame("BTCUSDT", 1), quote_frame("BTCUSDT", 1))
        await session.send(*[frame] * 9)
        await trio.testing.wait_all_tasks_blocked()
        state = harness.feed.input_state("BTCUSDT")
        assert state is not None
        assert (state.is_suspended, state.dropped) == (False, {reason: 9})
        await session.send(frame)
        await trio.sleep(2)
        state = harness.feed.input_state("BTCUSDT")
        assert state is not None
        assert (state.is_suspended, state.dropped) == (True, {reason: 10})
        methods = [request["method"] for request in session.requests]
        assert methods == ["SUBSCRIBE", "UNSUBSCRIBE", "SUBSCRIBE"]
        await trio.sleep(10)
        await harness.venue.emit(trade_frame("BTCUSDT", 2), trade_frame("ETHUSDT", 1))
        assert trade_ids(harness.delivered["BTCUSDT"]) == [1, 2]
        assert len(harness.delivered["BTCUSDT"]) == 3
        assert trade_ids(harness.delivered["ETHUSDT"]) == [1]
        nursery.cancel_scope.cancel()


@with_harness("BTCUSDT")
async def test_ten_thousand_times_the_same(harness: FeedHarness) -> None:
    """Each once, the rest counted, no symbol suspended, and none of it is news."""
    (session,) = harness.venue.sessions
    frames = [
        trade_frame("BTCUSDT", 1),
        quote_frame("BTCUSDT", 1),
        candle_frame("BTCUSDT", 0, closed=True),
    ]
    for frame in frames:
        await session.send(*[frame] * 10_000)
        await trio.testing.wait_all_tasks_blocked()
    received = harness.feed.last_received("BTCUSDT")
    await trio.sleep(20)
    await session.send(*frames)
    await trio.testing.wait_all_tasks_blocked()
    assert len(harness.delivered["BTCUSDT"]) == 3
    state = harness.feed.input_state("BTCUSDT")
    assert state is not None
    assert (state.is_suspended, state.dropped) == (False, {"duplicate": 3 * 10_000})
    assert harness.feed.last_received("BTCUSDT") == received, "a repetition keeps no symbol fresh"
    assert harness.texts("feed_gap") == harness.texts("feed_refused") == []


@with_harness("BTCUSDT")
async def test_quotes_that_begin_anew(harness: FeedHarness) -> None:
    """A venue whose quote ids reset without a word is followed after ten seconds."""
    await harness.venue.emit(quote_frame("BTCUSDT", 10**9))
    for n in range(1, 30):
        await trio.sleep(1)
        await harness.venue.emit(quote_frame("BTCUSDT", n))
    assert update_ids(harness.delivered["BTCUSDT"]) == [10**9, *range(10, 30)]
    assert harness.texts("feed_restarted") == ["BTCUSDT: update ids of quotes begin anew at 10"]
    assert harness.feed.statistics().dropped == {"out_of_order": 9}


async def test_three_of_five_are_acknowledged(autojump_clock: MockClock) -> None:
    """Without all acknowledgements nothing has started; a new connection asks for all."""
    symbols = [f"S{n}USDT" for n in range(5)]
    async with trio.open_nursery() as nursery:
        harness = FeedHarness(nursery, [], streams=("trade",))
        await nursery.start(harness.feed.run)
        for n, symbol in enumerate(symbols):
            harness.add(symbol)
            await trio.sleep(2)
            if n == 2:
                harness.venue.answers = False
        (session,) = harness.venue.sessions
        assert len(session.subscribed) == 3
        await trio.sleep(8)
        assert "SUBSCRIBE: expected an answer in 10 s" in harness.texts("feed_disconnected")[0]
        harness.venue.answers = True
        await trio.sleep(30)
        assert harness.venue.open_sessions[-1].subscribed == {f"{s.lower()}@trade" for s in symbols}
        await harness.venue.emit(*(trade_frame(symbol, 1) for symbol in symbols))
        assert all(trade_ids(harness.delivered[symbol]) == [1] for symbol in symbols)
        nursery.cancel_scope.cancel()


@with_harness("BTCUSDT")
async def test_a_frame_that_drips(harness: FeedHarness) -> None:
    """A byte a second of a frame is no life: within 30 s there is another connection."""
    (session,) = harness.venue.sessions
    began = trio.current_time()
    await session.stream.send_all(b"\x81\x7e\x10\x00")  # a text of 4,096 bytes
    while not session.is_over.is_set():
        await trio.sleep(1)
        try:
            await session.stream.send_all(b"x")
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            break
    assert 15 < trio.current_time() - began < 30
    await trio.sleep(5)
    assert "expected a pong" in harness.texts("feed_disconnected")[0]
    await harness.venue.emit(trade_frame("BTCUSDT", 1))
    assert trade_ids(harness.delivered["BTCUSDT"]) == [1]


@with_harness()
async def test_a_burst(harness: FeedHarness) -> None:
    """300,000 messages before an engine looks: bounded, newest kept, each one counted."""
    inbox = Inbox(1000)
    harness.feed.add("BTCUSDT", inbox.put)
    await trio.sleep(5)
    (connection,) = harness.feed._connections
    decode, receive = connection._decoder.decode_batch, harness.feed._receive
    count, read = 150_000, 500
    for start in range(0, count, read):
        ids = range(start, start + read)
        frames = [make("BTCUSDT", n) for n in ids for make in (trade_frame, quote_frame)]
        for decoded in decode(frames):
            assert isinstance(decoded, Trade | Quote)
            receive(decoded, trio.current_time())
    statistics = inbox.statistics()
    assert statistics.queued <= 1001
    assert statistics.dropped + statistics.conflated + statistics.queued == 2 * count
    events = list(inbox.drain())
    assert trade_ids(events) == list(range(count - len(trade_ids(events)), count))
    assert update_ids(events) == [count - 1]
    assert sum(isinstance(event, Trade) for event in events) >= 999
