"""Connections replaced while they work: nothing missed, nothing twice."""

from itertools import pairwise

import pytest
import trio
import trio.testing

from levitrio.venues.binance.market_data.feed_connection import RenewalPolicy
from tests.venues.binance.fake_venue import (
    candle_frame,
    quote_frame,
    trade_frame,
    trade_ids,
    update_ids,
)
from tests.venues.binance.feed_harness import FeedHarness, with_harness

SHUTDOWN = '{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}'


@with_harness("BTCUSDT", renewal=RenewalPolicy(after=600.0, spread=100.0))
async def test_renewed_before_the_venue_cuts(harness: FeedHarness) -> None:
    """At its age another connection takes over; both deliver for a moment."""
    venue = harness.venue
    (old,) = venue.sessions
    await trio.sleep(549)
    assert len(venue.sessions) == 1
    await trio.sleep(1.2)
    assert len(venue.sessions) == 2
    await old.send(trade_frame("BTCUSDT", 1))
    await trio.sleep(0.5)
    fresh = venue.sessions[1]
    assert fresh.subscribed == old.subscribed
    for n in range(2, 40):
        for session in venue.open_sessions:
            await session.send(trade_frame("BTCUSDT", n), quote_frame("BTCUSDT", n))
        await trio.sleep(0.3)
    assert venue.open_sessions == [fresh]
    assert trade_ids(harness.delivered["BTCUSDT"]) == list(range(1, 40))
    assert update_ids(harness.delivered["BTCUSDT"]) == sorted(
        update_ids(harness.delivered["BTCUSDT"])
    )
    statistics = harness.feed.statistics()
    assert (statistics.renewals, statistics.reconnects, statistics.gaps) == (1, 0, 0)
    assert statistics.dropped["duplicate"] > 0
    assert harness.texts("feed_disconnected") == []
    assert harness.texts("feed_renewed") == ["connection 1 was handed over"]


@with_harness("BTCUSDT")
async def test_renewed_when_the_venue_announces_its_end(harness: FeedHarness) -> None:
    """`serverShutdown` opens the next connection at once; the old one delivers to the last."""
    venue = harness.venue
    (old,) = venue.sessions
    await old.send(trade_frame("BTCUSDT", 1), SHUTDOWN, trade_frame("BTCUSDT", 2))
    await trio.sleep(1.5)
    assert len(venue.sessions) == 2
    fresh = venue.sessions[1]
    await fresh.send(trade_frame("BTCUSDT", 4))  # the other connection is slower by one trade
    await trio.testing.wait_all_tasks_blocked()
    assert trade_ids(harness.delivered["BTCUSDT"]) == [1, 2]
    await old.send(trade_frame("BTCUSDT", 3), trade_frame("BTCUSDT", 4))
    await trio.testing.wait_all_tasks_blocked()
    assert trade_ids(harness.delivered["BTCUSDT"]) == [1, 2, 3, 4]
    await trio.sleep(5)
    assert venue.open_sessions == [fresh]
    await fresh.send(trade_frame("BTCUSDT", 5))
    await trio.testing.wait_all_tasks_blocked()
    assert trade_ids(harness.delivered["BTCUSDT"]) == [1, 2, 3, 4, 5]
    assert harness.feed.statistics().lost_trades == 0


@with_harness("BTCUSDT")
async def test_what_is_lost_in_a_handover_waits_no_longer_than_a_moment(
    harness: FeedHarness,
) -> None:
    """A trade that neither connection brings is given up, and the newer ones go on."""
    await harness.venue.sessions[0].send(trade_frame("BTCUSDT", 1), SHUTDOWN)
    await trio.sleep(1.5)
    await harness.venue.sessions[1].send(trade_frame("BTCUSDT", 3))
    await trio.testing.wait_all_tasks_blocked()
    assert trade_ids(harness.delivered["BTCUSDT"]) == [1]
    await trio.sleep(0.5)
    assert trade_ids(harness.delivered["BTCUSDT"]) == [1, 3]
    assert harness.feed.statistics().lost_trades == 1
    assert harness.texts("feed_lost") == ["BTCUSDT: 1 missing trades could not be fetched"]


@with_harness("BTCUSDT")
async def test_a_quiet_market_is_handed_over_too(harness: FeedHarness) -> None:
    """Without a single event the acknowledgements are proof enough."""
    await harness.venue.sessions[0].send(SHUTDOWN)
    await trio.sleep(20)
    assert len(harness.venue.open_sessions) == 1
    assert harness.feed.statistics().renewals == 1
    assert harness.feed.statistics().connections == 1


@with_harness("BTCUSDT")
async def test_the_old_one_dies_first(harness: FeedHarness) -> None:
    """Cut in the middle of the handover, the successor is the connection, without a backoff."""
    venue = harness.venue
    await venue.sessions[0].send(SHUTDOWN)
    await trio.sleep(1.5)
    await venue.sessions[0].cut()
    await trio.testing.wait_all_tasks_blocked()
    await venue.emit(trade_frame("BTCUSDT", 1), candle_frame("BTCUSDT", 0, closed=True))
    await trio.sleep(20)
    assert len(venue.sessions) == 2
    assert harness.feed.statistics().connections == 1
    assert trade_ids(harness.delivered["BTCUSDT"]) == [1]
    assert len(harness.delivered["BTCUSDT"]) == 2


@with_harness("BTCUSDT")
async def test_no_successor_can_be_had(harness: FeedHarness) -> None:
    """While the venue refuses new connections the old one delivers on; backoff between attempts."""
    venue = harness.venue
    await venue.sessions[0].send(SHUTDOWN)
    venue.out_of_reach = ConnectionRefusedError("connection refused")
    await trio.sleep(120)
    await venue.emit(trade_frame("BTCUSDT", 1))
    assert trade_ids(harness.delivered["BTCUSDT"]) == [1]
    assert 3 <= len(venue.attempts) < 12
    assert "no successor" in harness.texts("feed_disconnected")[0]
    await venue.sessions[0].cut()
    venue.out_of_reach = None
    await trio.sleep(120)
    assert harness.feed.statistics().connections == 1


@with_harness("BTCUSDT")
async def test_a_successor_that_says_nothing(harness: FeedHarness) -> None:
    """One that never acknowledges is dropped, and the old one goes on."""
    venue = harness.venue
    await venue.sessions[0].send(SHUTDOWN)
    venue.answers = False
    await trio.sleep(14)
    venue.answers = True
    await venue.emit(trade_frame("BTCUSDT", 1))
    assert trade_ids(harness.delivered["BTCUSDT"]) == [1]
    await trio.sleep(60)
    assert harness.feed.statistics().renewals == 1
    assert len(venue.open_sessions) == 1


@with_harness("BTCUSDT")
async def test_symbols_come_and_go_during_a_handover(harness: FeedHarness) -> None:
    """What is wanted changes on both connections; nothing is forgotten or refused."""
    venue = harness.venue
    await venue.sessions[0].send(SHUTDOWN)
    await trio.sleep(1.5)
    harness.add("ETHUSDT")
    await trio.sleep(2)
    assert all("ethusdt@trade" in session.subscribed for session in venue.open_sessions)
    await venue.emit(trade_frame("ETHUSDT", 1))
    harness.feed.remove("BTCUSDT")
    await trio.sleep(60)
    assert venue.open_sessions[0].subscribed == {
        "ethusdt@trade",
        "ethusdt@bookTicker",
        "ethusdt@kline_1m",
    }
    assert trade_ids(harness.delivered["ETHUSDT"]) == [1]
    assert set(harness.feed.statistics().dropped) <= {"duplicate"}


@with_harness("BTCUSDT")
async def test_the_last_symbol_goes_during_a_handover(harness: FeedHarness) -> None:
    """Nothing wanted: both connections are closed, and a new symbol opens one."""
    await harness.venue.sessions[0].send(SHUTDOWN)
    await trio.sleep(1.5)
    harness.feed.remove("BTCUSDT")
    await trio.sleep(30)
    assert harness.feed.statistics().connections == 0
    harness.add("ETHUSDT")
    await trio.sleep(5)
    assert harness.feed.statistics().connections == 1


SYMBOLS = tuple(f"S{n}USDT" for n in range(1000))


@with_harness(*SYMBOLS)
async def test_a_thousand_symbols_all_fresh_after_a_mass_disconnect(harness: FeedHarness) -> None:
    """Five connections; cut all at once, every symbol has data again within a minute."""
    venue = harness.venue
    assert len(venue.sessions) == 5
    for session in venue.sessions:
        await session.cut()
    await trio.sleep(30)
    cut_at = trio.current_time() - 30
    await venue.emit(*(trade_frame(symbol, 1) for symbol in SYMBOLS))
    received = [harness.feed.last_received(symbol) for symbol in SYMBOLS]
    assert all(at is not None and at - cut_at < 60 for at in received)
    assert harness.feed.statistics().connections == 5
    in_any_five_minutes = [
        sum(at <= other < at + 300 for other in venue.attempts) for at in venue.attempts
    ]
    assert max(in_any_five_minutes) <= 240
    for session in venue.sessions:
        times = session.request_times
        assert all(b - a >= 0.3 for a, b in pairwise(times))


@pytest.mark.parametrize(("chance", "age"), [(0.0, 85_800.0), (1.0, 82_200.0)])
def test_age_of_renewal(chance: float, age: float) -> None:
    """Ten minutes before the venue's cut at the latest, up to an hour earlier by chance."""
    assert RenewalPolicy().age(chance) == age


def test_a_short_life_has_a_short_spread() -> None:
    """However the settings are, no connection is renewed at once."""
    assert RenewalPolicy(after=10.0).age(1.0) == 5.0
