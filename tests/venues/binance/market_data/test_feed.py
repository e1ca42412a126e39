"""The feed of a whole fleet, against a venue in memory and in virtual time."""

import errno
import json
import socket
import ssl
from itertools import pairwise

import pytest
import trio
import trio.testing
import trio_websocket
from trio.testing import MockClock

from levitrio.engine.inbox import Inbox
from levitrio.trading.market import Bar, MarketEvent
from levitrio.venues.base import Feed
from levitrio.venues.binance.market_data.feed import BinanceFeed
from tests.venues.binance.fake_venue import (
    candle_frame,
    frame_of,
    quote_frame,
    trade_frame,
    trade_ids,
    update_ids,
)
from tests.venues.binance.feed_harness import FeedHarness, with_harness


def test_it_is_a_feed() -> None:
    """The class is what `venues.base` asks for."""

    def ask(feed: Feed) -> Feed:
        return feed

    feed = BinanceFeed(
        "ws://v", backoff=lambda *_: 0.0, chance=lambda: 0.0, on_event=lambda *_, **__: None
    )
    assert ask(feed) is feed


@with_harness("BTCUSDT", "ETHUSDT")
async def test_many_symbols_share_one_connection(harness: FeedHarness) -> None:
    """Each event goes to its own symbol, all streams over one connection."""
    await harness.venue.emit(
        trade_frame("BTCUSDT", 1),
        trade_frame("ETHUSDT", 7),
        quote_frame("ETHUSDT", 5),
        candle_frame("BTCUSDT", 0, closed=False),
        candle_frame("BTCUSDT", 0, closed=True),
    )
    assert len(harness.venue.sessions) == 1
    assert harness.venue.sessions[0].subscribed == {
        f"{symbol}@{stream}"
        for symbol in ("btcusdt", "ethusdt")
        for stream in ("trade", "bookTicker", "kline_1m")
    }
    assert trade_ids(harness.delivered["BTCUSDT"]) == [1]
    assert [type(event) for event in harness.delivered["BTCUSDT"][1:]] == [Bar]
    assert trade_ids(harness.delivered["ETHUSDT"]) == [7]
    assert update_ids(harness.delivered["ETHUSDT"]) == [5]
    statistics = harness.feed.statistics()
    assert (statistics.connections, statistics.reconnects, statistics.dropped) == (1, 0, {})
    assert statistics.messages == 6  # with the acknowledgement


async def test_started_when_acknowledged(autojump_clock: MockClock) -> None:
    """`started` waits for a venue that is down, and then for the acknowledgement."""
    async with trio.open_nursery() as nursery:
        harness = FeedHarness(nursery, ["BTCUSDT"])
        harness.venue.out_of_reach = ConnectionRefusedError("connection refused")
        with trio.move_on_after(20) as scope:
            await nursery.start(harness.feed.run)
        assert scope.cancelled_caught
        harness.venue.out_of_reach = None
        await nursery.start(harness.feed.run)
        assert len(harness.venue.sessions[0].subscribed) == 3
        nursery.cancel_scope.cancel()


async def test_no_symbols_is_fine(autojump_clock: MockClock) -> None:
    """A feed without symbols starts at once, opens no connection, and does not return."""
    async with trio.open_nursery() as nursery:
        harness = FeedHarness(nursery, ["BTCUSDT"])
        harness.feed.remove("BTCUSDT")
        await nursery.start(harness.feed.run)
        await trio.sleep(100)
        assert harness.venue.attempts == []
        nursery.cancel_scope.cancel()


SYMBOLS = [f"S{n}USDT" for n in range(1000)]


@with_harness(*SYMBOLS)
async def test_a_thousand_symbols(harness: FeedHarness) -> None:
    """Five connections, never two attempts in a second, all back within a minute."""
    venue = harness.venue
    assert [len(session.subscribed) for session in venue.sessions] == [600] * 5
    for session in venue.sessions:
        await session.cut()
    await trio.sleep(60)
    assert harness.feed.statistics().connections == 5
    assert harness.feed.statistics().reconnects == 5
    assert [len(session.subscribed) for session in venue.open_sessions] == [600] * 5
    assert min(later - earlier for earlier, later in pairwise(venue.attempts)) >= 1.0


@with_harness(*SYMBOLS[:400], symbols_per_connection=1000)
async def test_the_venues_bound_of_streams(harness: FeedHarness) -> None:
    """However many symbols are allowed, a connection never has more than 1024 streams."""
    assert sorted(len(session.subscribed) for session in harness.venue.sessions) == [177, 1023]


@with_harness("BTCUSDT")
async def test_nothing_twice_and_nothing_unnoticed(harness: FeedHarness) -> None:
    """After a reconnect repeated trades are dropped, missing ones are reported."""
    await harness.venue.emit(*(trade_frame("BTCUSDT", n) for n in (1, 2, 3)))
    await harness.venue.sessions[0].cut()
    await trio.sleep(5)
    await harness.venue.emit(*(trade_frame("BTCUSDT", n) for n in (2, 3, 4, 9, 10)))
    assert trade_ids(harness.delivered["BTCUSDT"]) == [1, 2, 3, 4, 9, 10]
    statistics = harness.feed.statistics()
    assert statistics.dropped == {"duplicate": 2}
    assert (statistics.gaps, statistics.missing_trades, statistics.reconnects) == (1, 4, 1)
    assert harness.texts("feed_gap") == ["BTCUSDT: 4 trades are missing before id 9"]
    assert harness.delays == [0]
    assert "1006" in harness.texts("feed_disconnected")[0]


@with_harness("BTCUSDT")
async def test_ids_that_begin_anew_are_reported(harness: FeedHarness) -> None:
    """A venue that counts from one again is followed, and it is said."""
    await harness.venue.emit(trade_frame("BTCUSDT", 1000), trade_frame("BTCUSDT", 1))
    later = 1723161255342 + 120_000
    await harness.venue.emit(trade_frame("BTCUSDT", 2, later), trade_frame("BTCUSDT", 3, later))
    assert trade_ids(harness.delivered["BTCUSDT"]) == [1000, 2, 3]
    assert harness.texts("feed_restarted") == ["BTCUSDT: trade ids begin anew at 2"]


@with_harness("BTCUSDT")
async def test_old_quotes_and_bars(harness: FeedHarness) -> None:
    """Until a reconnect older quotes and candles closed twice are dropped."""
    await harness.venue.emit(quote_frame("BTCUSDT", 7), quote_frame("BTCUSDT", 6))
    await harness.venue.emit(*[candle_frame("BTCUSDT", 0, closed=True)] * 2)
    await harness.venue.sessions[0].close()
    await trio.sleep(5)
    await harness.venue.emit(quote_frame("BTCUSDT", 6), candle_frame("BTCUSDT", 0, closed=True))
    assert update_ids(harness.delivered["BTCUSDT"]) == [7, 6]
    assert len(harness.delivered["BTCUSDT"]) == 3
    assert harness.feed.statistics().dropped == {"out_of_order": 1, "duplicate": 2}


@with_harness("BTCUSDT")
async def test_backoff_grows_while_the_venue_is_down(harness: FeedHarness) -> None:
    """Failures in a row wait longer and longer; one connection that delivers starts anew."""
    harness.venue.out_of_reach = ConnectionRefusedError("connection refused")
    await harness.venue.sessions[0].cut()
    await trio.sleep(300)
    assert harness.delays[:6] == [1, 2, 3, 4, 5, 6]
    assert len(harness.venue.attempts) < 15
    harness.venue.out_of_reach = None
    await trio.sleep(60)
    await harness.venue.emit(trade_frame("BTCUSDT", 1))
    await harness.venue.sessions[-1].cut()
    await trio.sleep(5)
    assert harness.delays[-1] == 0
    assert harness.feed.statistics().connections == 1


@with_harness("BTCUSDT")
async def test_add_and_remove_while_running(harness: FeedHarness) -> None:
    """A symbol comes and goes without touching the others or the connection."""
    venue = harness.venue
    harness.add("ETHUSDT")
    await trio.sleep(5)
    await venue.emit(trade_frame("ETHUSDT", 1))
    harness.feed.remove("ETHUSDT")
    # Still subscribed at the venue: this one is under way.
    await venue.emit(trade_frame("ETHUSDT", 2))
    await trio.sleep(5)
    assert venue.sessions[0].subscribed == {
        "btcusdt@trade",
        "btcusdt@bookTicker",
        "btcusdt@kline_1m",
    }
    assert trade_ids(harness.delivered["ETHUSDT"]) == [1]
    assert harness.feed.statistics().dropped == {"unsubscribed": 1}
    assert harness.feed.last_received("ETHUSDT") is None
    await venue.sessions[0].send(trade_frame("ETHUSDT", 3))
    await trio.testing.wait_all_tasks_blocked()
    assert harness.feed.statistics().dropped == {"unsubscribed": 1, "unknown_stream": 1}
    assert len(venue.sessions) == 1
    harness.feed.remove("ETHUSDT")  # twice is fine


@with_harness("BTCUSDT")
async def test_the_last_symbol_goes_and_comes_back(harness: FeedHarness) -> None:
    """Without symbols the connection is closed; with a new one it is there again."""
    harness.feed.remove("BTCUSDT")
    await trio.sleep(5)
    assert harness.feed.statistics().connections == 0
    harness.add("BTCUSDT")
    await trio.sleep(5)
    assert harness.feed.statistics().connections == 1
    assert len(harness.venue.open_sessions[0].subscribed) == 3
    assert harness.delays == []


@with_harness("BTCUSDT")
async def test_a_symbol_replaced_between_two_looks(harness: FeedHarness) -> None:
    """Removed and added at once, a symbol stays subscribed and delivers to the new one."""
    harness.feed.remove("BTCUSDT")
    fresh: list[MarketEvent] = []
    harness.feed.add("BTCUSDT", fresh.append)
    await trio.sleep(5)
    await harness.venue.emit(trade_frame("BTCUSDT", 1))
    assert trade_ids(fresh) == [1]
    assert [request["method"] for request in harness.venue.sessions[0].requests] == ["SUBSCRIBE"]


@with_harness("BTCUSDT")
async def test_a_symbol_added_while_disconnected(harness: FeedHarness) -> None:
    """What is added while the venue is down is subscribed once it is back."""
    harness.venue.out_of_reach = ConnectionRefusedError("connection refused")
    await harness.venue.sessions[0].cut()
    await trio.sleep(3)
    harness.add("ETHUSDT")
    harness.feed.remove("BTCUSDT")
    harness.venue.out_of_reach = None
    await trio.sleep(20)
    assert harness.venue.open_sessions[0].subscribed == {
        "ethusdt@trade",
        "ethusdt@bookTicker",
        "ethusdt@kline_1m",
    }


@with_harness("BTCUSDT", symbols_per_connection=1)
async def test_a_full_connection_opens_another(harness: FeedHarness) -> None:
    """Added to a running feed without room, a symbol gets a connection of its own."""
    harness.add("ETHUSDT")
    await trio.sleep(5)
    await harness.venue.emit(trade_frame("ETHUSDT", 1))
    assert trade_ids(harness.delivered["ETHUSDT"]) == [1]
    assert harness.feed.statistics().connections == 2


@with_harness("BTCUSDT")
async def test_age_of_data(harness: FeedHarness) -> None:
    """The receive time moves with every sound event, open candles too, with refused ones not."""
    feed, venue = harness.feed, harness.venue
    assert feed.last_received("BTCUSDT") is None
    assert feed.last_received("XUSDT") is None
    ages = []
    for frame in (
        trade_frame("BTCUSDT", 5),
        candle_frame("BTCUSDT", 0, closed=False),
        trade_frame("BTCUSDT", 5),
        quote_frame("BTCUSDT", 1, bid="-1"),
    ):
        await trio.sleep(1)
        await venue.emit(frame)
        received = feed.last_received("BTCUSDT")
        assert received is not None
        ages.append(trio.current_time() - received)
    assert ages == pytest.approx([0.0, 0.0, 1.0, 2.0])
    state = feed.input_state("BTCUSDT")
    assert state is not None
    assert state.dropped == {"duplicate": 1, "price": 1}
    assert feed.input_state("XUSDT") is None


@with_harness("BTCUSDT")
async def test_a_flood_of_garbage(harness: FeedHarness) -> None:
    """It reaches no engine, is counted, and reported without a flood."""
    session = harness.venue.sessions[0]
    await session.send(*["garbage"] * 150)
    await session.send(*[quote_frame("BTCUSDT", 1, bid="102.00")] * 3)
    await session.send(frame_of("xusdt@trade", {}), b"binary", trade_frame("BTCUSDT", 1))
    await trio.testing.wait_all_tasks_blocked()
    assert trade_ids(harness.delivered["BTCUSDT"]) == [1]
    assert len(harness.delivered["BTCUSDT"]) == 1
    assert harness.feed.statistics().dropped == {
        "malformed": 150,
        "crossed": 3,
        "unknown_stream": 1,
        "binary": 1,
    }
    assert harness.texts("feed_refused") == [
        "no symbol: malformed, 1 times so far",
        "no symbol: malformed, 10 times so far",
        "no symbol: malformed, 100 times so far",
        "BTCUSDT: crossed, 1 times so far",
        "no symbol: unknown_stream, 1 times so far",
        "no symbol: binary, 1 times so far",
    ]


async def test_a_stream_the_venue_refuses(autojump_clock: MockClock) -> None:
    """A symbol the venue does not know is reported once, and the others trade."""
    async with trio.open_nursery() as nursery:
        harness = FeedHarness(nursery, ["BTCUSDT", "NOSUCHUSDT"], streams=("trade",))
        harness.venue.refused = {"nosuchusdt@trade"}
        await nursery.start(harness.feed.run)
        await harness.venue.emit(trade_frame("BTCUSDT", 1))
        assert trade_ids(harness.delivered["BTCUSDT"]) == [1]
        assert harness.texts("feed_refused") == ["nosuchusdt@trade: the venue refused the stream"]
        nursery.cancel_scope.cancel()


async def test_event_times_follow_the_wall_clock(autojump_clock: MockClock) -> None:
    """With a wall clock, what lies over an hour ahead of it is refused, also after hours."""
    async with trio.open_nursery() as nursery:
        start = trio.current_time()
        harness = FeedHarness(
            nursery,
            ["BTCUSDT"],
            wall_clock=lambda: 1_700_000_000.0 + trio.current_time() - start,
        )
        await nursery.start(harness.feed.run)
        ahead = 1_700_000_000_000 + 2 * 3_600_000
        await harness.venue.emit(trade_frame("BTCUSDT", 1, ahead))
        await trio.sleep(3 * 3600)
        await harness.venue.emit(trade_frame("BTCUSDT", 2, ahead))
        assert trade_ids(harness.delivered["BTCUSDT"]) == [2]
        assert harness.feed.statistics().dropped == {"time": 1}
        nursery.cancel_scope.cancel()


@with_harness("BTCUSDT")
async def test_silence_is_noticed_and_mended(harness: FeedHarness) -> None:
    """A black hole costs at most 30 s and one reconnect; the feed never returns."""
    harness.venue.sessions[0].line.is_dead = True
    await trio.sleep(35)
    await harness.venue.emit(trade_frame("BTCUSDT", 1))
    assert trade_ids(harness.delivered["BTCUSDT"]) == [1]
    assert "expected a pong" in harness.texts("feed_disconnected")[0]


async def test_cancelled_it_leaves_no_connection(autojump_clock: MockClock) -> None:
    """Cancelled, every connection is closed, and what was delivered stays delivered."""
    async with trio.open_nursery() as nursery:
        harness = FeedHarness(nursery, SYMBOLS[:3], symbols_per_connection=1)
        async with trio.open_nursery() as inner:
            await inner.start(harness.feed.run)
            inner.cancel_scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        assert harness.venue.open_sessions == []
        assert harness.feed.statistics().connections == 0
        assert harness.feed.statistics().messages == 3


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"streams": ("depth20",)}, "expected trade, bookTicker, depth"),
        ({"streams": ()}, "at least one"),
        ({"streams": ("trade", "trade")}, "none twice"),
        ({"symbols_per_connection": 0}, "at least 1, got 0"),
    ],
)
async def test_settings_that_cannot_be(options: dict[str, object], match: str) -> None:
    """A setting that cannot work is refused when the feed is made, in words of the setting."""
    async with trio.open_nursery() as nursery:
        with pytest.raises(ValueError, match=match):
            FeedHarness(nursery, [], **options)


async def test_a_symbol_twice_is_refused() -> None:
    """Two engines of one symbol are a bug of the caller."""
    async with trio.open_nursery() as nursery:
        harness = FeedHarness(nursery, ["BTCUSDT"])
        with pytest.raises(ValueError, match="BTCUSDT is subscribed already"):
            harness.add("BTCUSDT")


def _expired() -> trio.BrokenResourceError:
    error = trio.BrokenResourceError("TLS failed")
    error.__cause__ = ssl.SSLCertVerificationError("certificate has expired")
    return error


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (socket.gaierror(socket.EAI_AGAIN, "name resolution failed"), 101, "name resolution"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), 101, "unreachable"),
        (_expired(), 101, "certificate has expired"),
        (None, 403, "got 403"),
        (None, 407, "got 407"),
        (None, 429, "got 429"),
        (None, 503, "got 503"),
    ],
)
async def test_a_venue_out_of_reach(
    error: Exception | None, status: int, words: str, autojump_clock: MockClock
) -> None:
    """The reason is told each time, attempts become rarer, and it comes back alone."""
    async with trio.open_nursery() as nursery:
        harness = FeedHarness(nursery, ["BTCUSDT"])
        harness.venue.out_of_reach, harness.venue.http_status = error, status
        nursery.start_soon(harness.feed.run)
        await trio.sleep(300)
        assert harness.delays == list(range(1, len(harness.delays) + 1))
        assert 6 <= len(harness.delays) <= 12
        assert all(words in text for text in harness.texts("feed_disconnected"))
        assert harness.feed.statistics().connections == 0
        harness.venue.out_of_reach, harness.venue.http_status = None, 101
        await trio.sleep(61)
        await harness.venue.emit(trade_frame("BTCUSDT", 7))
        assert trade_ids(harness.delivered["BTCUSDT"]) == [7]
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1012, 1013, 3999])
async def test_whatever_the_venue_says_at_the_end(code: int, autojump_clock: MockClock) -> None:
    """Any code of a closing frame is told, and a connection that delivered is back at once."""
    async with trio.open_nursery() as nursery:
        harness = FeedHarness(nursery, ["BTCUSDT"])
        await nursery.start(harness.feed.run)
        await harness.venue.emit(trade_frame("BTCUSDT", 1))
        await harness.venue.sessions[0].close(code, "words of the venue")
        await trio.sleep(2)
        (text,) = harness.texts("feed_disconnected")
        assert f"{code} " in text
        assert "words of the venue" in text
        await harness.venue.emit(trade_frame("BTCUSDT", 2))
        assert trade_ids(harness.delivered["BTCUSDT"]) == [1, 2]
        nursery.cancel_scope.cancel()


async def test_over_a_real_socket() -> None:
    """On a loopback socket thousands of trades reach an inbox, in order, none lost."""
    count = 3000
    inbox = Inbox()

    async def serve(request: trio_websocket.WebSocketRequest) -> None:
        websocket = await request.accept()
        identity = json.loads(await websocket.get_message())["id"]
        await websocket.send_message(json.dumps({"result": None, "id": identity}))
        for n in range(count):
            await websocket.send_message(trade_frame("BTCUSDT", n))
        await trio.sleep_forever()

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            server = await nursery.start(
                trio_websocket.serve_websocket, serve, "127.0.0.1", 0, None
            )
            feed = BinanceFeed(
                f"ws://127.0.0.1:{server.port}",
                backoff=lambda attempt, chance: 0.0,
                chance=lambda: 0.0,
                on_event=lambda kind, text, **_: None,
                streams=("trade",),
            )
            feed.add("BTCUSDT", inbox.put)
            await nursery.start(feed.run)
            received: list[MarketEvent] = []
            while len(received) < count:
                await inbox.wait()
                received.extend(inbox.drain())
            nursery.cancel_scope.cancel()
    assert trade_ids(received) == list(range(count))
    assert feed.statistics().gaps == 0
