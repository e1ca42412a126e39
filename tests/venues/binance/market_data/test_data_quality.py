"""Which data is believed, and which is too old: alarms, suspensions, price bands."""

import pytest
import trio
import trio.testing

from levitrio.venues.binance.market_data.statistics import InputState
from tests.venues.binance.fake_venue import (
    candle_frame,
    frame_of,
    quote_frame,
    trade_frame,
    trade_ids,
    update_ids,
)
from tests.venues.binance.feed_harness import FakeBackfill, FeedHarness, with_harness

TIME = 1723161255342


def priced_trade(number: int, price: str) -> str:
    data = {"e": "trade", "E": TIME, "s": "BTCUSDT", "t": number, "p": price, "q": "1", "T": TIME}
    return frame_of("btcusdt@trade", {**data, "m": True, "M": True})


def state_of(harness: FeedHarness, symbol: str = "BTCUSDT") -> InputState:
    state = harness.feed.input_state(symbol)
    assert state is not None
    return state


@with_harness("BTCUSDT", "ETHUSDT", streams=("trade",), stale_after=10.0)
async def test_an_alarm_names_the_symbol_once(harness: FeedHarness) -> None:
    """One silent symbol of a lively connection is told once, and its return once."""
    for n in range(40):
        if not 5 <= n < 30:
            await harness.venue.emit(trade_frame("BTCUSDT", n))
        await harness.venue.emit(trade_frame("ETHUSDT", n))
        await trio.sleep(1)
        if n in (13, 18, 28, 33):
            assert state_of(harness).is_stale == (15 < n < 30), n
        assert not state_of(harness, "ETHUSDT").is_stale
    assert len(harness.texts("stale")) == 1
    assert harness.texts("stale")[0].startswith("BTCUSDT: no data of trade for ")
    assert harness.texts("fresh") == ["BTCUSDT: data comes again"]
    assert harness.feed.statistics().stale == 0


@with_harness("BTCUSDT", stale_after=10.0)
async def test_one_stalled_stream_is_seen(harness: FeedHarness) -> None:
    """Quotes and candles do not hide that trades have stopped."""
    await harness.venue.emit(trade_frame("BTCUSDT", 1))
    for n in range(30):
        await harness.venue.emit(
            quote_frame("BTCUSDT", n), candle_frame("BTCUSDT", 0, closed=False)
        )
        await trio.sleep(1)
    silence = state_of(harness).silence
    assert silence is not None
    assert (silence.stream, silence.is_stale) == ("trade", True)
    assert "no data of trade" in harness.texts("stale")[0]
    assert harness.feed.last_received("BTCUSDT") == pytest.approx(trio.current_time(), abs=1.1)


@with_harness("BTCUSDT", streams=("trade",), stale_after=10.0)
async def test_a_quiet_pair_is_not_a_dead_one(harness: FeedHarness) -> None:
    """A pair that trades every 25 s is believed after its first alarms."""
    for n in range(20):
        await harness.venue.emit(trade_frame("BTCUSDT", n))
        await trio.sleep(25)
    assert len(harness.texts("stale")) == 1
    silence = state_of(harness).silence
    assert silence is not None
    assert silence.allowed > 50


@with_harness("BTCUSDT", stale_after=10.0)
async def test_a_symbol_that_never_spoke(harness: FeedHarness) -> None:
    """It has no age, but an alarm."""
    await trio.sleep(12)
    assert state_of(harness).silence is None
    assert len(harness.texts("stale")) == 1
    assert "no data of any stream" in harness.texts("stale")[0]


@with_harness("BTCUSDT", stale_after=10.0, is_resting=lambda: True)
async def test_at_the_end_of_a_tape_no_symbol_is_stale(harness: FeedHarness) -> None:
    """Nothing is expected any more, so nothing is missed."""
    await harness.venue.emit(trade_frame("BTCUSDT", 1))
    await trio.sleep(100)
    assert state_of(harness).silence is None
    assert not state_of(harness).is_stale
    assert harness.texts("stale") == []


@pytest.mark.parametrize("factor", ["150", "10000", "0.01", "66"])
def test_an_absurd_price(factor: str) -> None:
    """One tick x1.5, x100 or with shifted decimals reaches no engine; the next good one does."""

    @with_harness("BTCUSDT", backfill=FakeBackfill())
    async def scenario(harness: FeedHarness) -> None:
        await harness.venue.emit(
            priced_trade(1, "100"), priced_trade(2, factor), priced_trade(3, "101")
        )
        await trio.sleep(60)
        assert trade_ids(harness.delivered["BTCUSDT"]) == [1, 3]
        assert state_of(harness).dropped == {"price_band": 1}
        assert harness.feed.statistics().missing_trades == 1

    clock = trio.testing.MockClock(autojump_threshold=0)
    trio.run(scenario, clock, clock=clock)


@with_harness("BTCUSDT", backfill=FakeBackfill())
async def test_a_real_jump_is_confirmed_by_repetition(harness: FeedHarness) -> None:
    """Three agreeing prices are the market; one message sent three times is not."""
    await harness.venue.emit(priced_trade(1, "100"), *[priced_trade(2, "160")] * 5)
    await harness.venue.emit(priced_trade(3, "161"))
    await trio.sleep(60)
    assert trade_ids(harness.delivered["BTCUSDT"]) == [1]
    await harness.venue.emit(priced_trade(4, "162"), priced_trade(5, "163"))
    await trio.sleep(60)
    assert trade_ids(harness.delivered["BTCUSDT"]) == [1, 4, 5]
    assert state_of(harness).is_suspended is False


@with_harness("BTCUSDT")
async def test_quotes_and_bars_have_their_band(harness: FeedHarness) -> None:
    """Either side of a quote, and the close and the spikes of a bar."""
    emit = harness.venue.emit
    await emit(trade_frame("BTCUSDT", 1), quote_frame("BTCUSDT", 1))
    await emit(quote_frame("BTCUSDT", 2, bid="1.0"), quote_frame("BTCUSDT", 3, ask="1000.0"))
    await emit(quote_frame("BTCUSDT", 4), candle_frame("BTCUSDT", 0, closed=True))
    await emit(candle_frame("BTCUSDT", 1, closed=True).replace('"h":"100"', '"h":"9999"'))
    wild = candle_frame("BTCUSDT", 2, closed=True)
    for key in "ohlc":
        wild = wild.replace(f'"{key}":"100"', f'"{key}":"10000"')
    await emit(wild)
    assert update_ids(harness.delivered["BTCUSDT"]) == [1, 4]
    assert len(harness.delivered["BTCUSDT"]) == 4
    assert state_of(harness).dropped == {"price_band": 4}


@with_harness("BTCUSDT", "ETHUSDT", backfill=FakeBackfill())
async def test_too_much_garbage_suspends_the_symbol(harness: FeedHarness) -> None:
    """Section C: ten refusals in a minute stop one symbol until it is subscribed anew."""
    venue = harness.venue
    (session,) = venue.sessions
    await venue.emit(trade_frame("BTCUSDT", 1), trade_frame("ETHUSDT", 1))
    await session.send(*[quote_frame("BTCUSDT", 1, bid="999")] * 10)
    await venue.emit(trade_frame("BTCUSDT", 2), trade_frame("ETHUSDT", 2))
    assert state_of(harness).is_suspended
    assert harness.feed.statistics().suspended == 1
    assert trade_ids(harness.delivered["BTCUSDT"]) == [1]
    await trio.sleep(3)
    asked = [(request["method"], sorted(request["params"])) for request in session.requests[1:]]
    names = ["btcusdt@bookTicker", "btcusdt@kline_1m", "btcusdt@trade"]
    assert asked == [("UNSUBSCRIBE", names), ("SUBSCRIBE", names)]
    await trio.sleep(10)
    assert not state_of(harness).is_suspended
    await venue.emit(trade_frame("BTCUSDT", 3), trade_frame("ETHUSDT", 3))
    await trio.sleep(60)
    assert trade_ids(harness.delivered["BTCUSDT"]) == [1, 3]
    assert trade_ids(harness.delivered["ETHUSDT"]) == [1, 2, 3]
    assert len(harness.texts("suspended")) == len(harness.texts("resumed")) == 1
    assert state_of(harness).dropped == {"crossed": 10, "suspended": 1}
    assert state_of(harness, "ETHUSDT").dropped == {}


@with_harness("BTCUSDT")
async def test_a_symbol_that_stays_hostile(harness: FeedHarness) -> None:
    """It stays suspended while the garbage comes, and is asked anew twice a minute."""
    (session,) = harness.venue.sessions
    for n in range(100):
        await harness.venue.emit(quote_frame("BTCUSDT", n, bid="999"))
        await trio.sleep(1)
    assert state_of(harness).is_suspended
    asked = sum(request["method"] == "UNSUBSCRIBE" for request in session.requests)
    assert 3 <= asked <= 4
    assert len(harness.texts("suspended")) == 1


@with_harness("BTCUSDT")
async def test_a_few_refusals_are_forgiven(harness: FeedHarness) -> None:
    """Nine in a minute, again and again, are counted and no more."""
    for n in range(30):
        await harness.venue.emit(quote_frame("BTCUSDT", n, bid="999"))
        await trio.sleep(7)
    assert not state_of(harness).is_suspended
    assert state_of(harness).dropped == {"crossed": 30}


async def test_a_process_that_stood_still(autojump_clock: trio.testing.MockClock) -> None:
    """What waits in the sockets after a long stop is old, and is thrown away."""
    async with trio.open_nursery() as nursery:
        harness = FeedHarness(nursery, ["BTCUSDT"])
        await nursery.start(harness.feed.run)
        await trio.sleep(1.5)
        autojump_clock.jump(31.0)
        await trio.sleep(5)
        assert len(harness.venue.sessions) == 2
        assert "stood still for 3" in harness.texts("feed_disconnected")[0]
        assert harness.feed.statistics().connections == 1
        nursery.cancel_scope.cancel()
