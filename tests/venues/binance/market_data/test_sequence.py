"""Trade ids, quote ids and candles that repeat, jump or begin anew."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from levitrio.trading.market import Bar, utc
from levitrio.venues.binance.market_data.sequence import (
    ABSURD,
    DUPLICATE,
    OLD,
    RESTART_MARGIN_MS,
    RESTART_SILENCE,
    RESTARTED,
    SymbolSequence,
)
from tests.factories import make_quote, make_trade


def test_first_trade_is_no_gap() -> None:
    """Before the first trade nothing is known to be missing."""
    assert SymbolSequence().judge_trade(make_trade(3735683259, time_ms=1_000)) == 0


@given(st.lists(st.integers(0, 30), max_size=100))
def test_every_id_once_and_every_hole_counted(ids: list[int]) -> None:
    """In any order, delivered ids rise; with the missing they cover the range."""
    sequence = SymbolSequence()
    delivered: list[int] = []
    missing = 0
    for trade_id in ids:
        verdict = sequence.judge_trade(make_trade(trade_id, time_ms=1_000))
        if verdict == DUPLICATE:
            assert delivered
            assert trade_id <= delivered[-1]
        else:
            delivered.append(trade_id)
            missing += verdict
    assert delivered == sorted(set(delivered))
    if delivered:
        assert len(delivered) + missing == delivered[-1] - delivered[0] + 1


def test_ids_that_begin_anew() -> None:
    """A low id with a time no repetition can have starts a new count, so nothing is deaf."""
    sequence = SymbolSequence()
    assert sequence.judge_trade(make_trade(10**12, time_ms=1_000)) == 0
    assert sequence.judge_trade(make_trade(5, time_ms=1_000 + RESTART_MARGIN_MS)) == DUPLICATE
    assert sequence.judge_trade(make_trade(5, time_ms=1_001 + RESTART_MARGIN_MS)) == RESTARTED
    assert sequence.judge_trade(make_trade(7, time_ms=1_002 + RESTART_MARGIN_MS)) == 1


def test_an_id_far_ahead_is_confirmed_by_the_next() -> None:
    """One absurd id stops no stream; two in a row are where the venue counts now."""
    sequence = SymbolSequence()
    verdicts = [
        sequence.judge_trade(make_trade(n, time_ms=1_000))
        for n in (1, 2**62, 2, 10**9, 10**9 + 1, 10**9 + 2)
    ]
    assert verdicts == [0, ABSURD, 0, ABSURD, 10**9 - 2, 0]


def test_quotes_only_grow_on_one_connection() -> None:
    """An older quote is refused, so is the same again, and a reconnect forgets."""
    sequence = SymbolSequence()
    verdicts = [sequence.judge_quote(make_quote(n), 0.0) for n in (5, 5, 4, 6)]
    assert verdicts == [0, DUPLICATE, OLD, 0]
    sequence.reconnected()
    assert sequence.judge_quote(make_quote(1), 0.0) == 0


def test_quote_ids_that_begin_anew() -> None:
    """After a silence low ids that rise are believed; one that is repeated never is."""
    sequence = SymbolSequence()
    sequence.judge_quote(make_quote(10**10), 0.0)
    later = RESTART_SILENCE
    assert [sequence.judge_quote(make_quote(n), later - 0.1) for n in (1, 2, 3, 4)] == [OLD] * 4
    assert [sequence.judge_quote(make_quote(2), later) for _ in range(20)] == [OLD] * 20
    assert [sequence.judge_quote(make_quote(n), later) for n in (1, 2, 3, 4)] == [
        OLD,
        OLD,
        RESTARTED,
        0,
    ]
    assert sequence.judge_quote(make_quote(3), later) == OLD


def minute(number: int) -> Bar:
    return Bar.of("BTCUSDT", "1", open_time=number * 60_000)


def test_a_candle_closes_once() -> None:
    """The same candle closed twice is old, for each interval on its own."""
    sequence = SymbolSequence()
    hour = Bar.of("BTCUSDT", "1", open_time=0, interval="1h")
    for bar in (minute(1), hour):
        assert not sequence.is_old_bar(bar)
        assert list(sequence.judge_bar(bar)) == []
        assert sequence.is_old_bar(bar)
    assert sequence.is_old_bar(minute(0))


def test_bars_that_are_jumped_over() -> None:
    """A closed bar, or the candle open now, shows which closed ones did not come."""
    sequence = SymbolSequence()
    sequence.judge_bar(minute(1))
    assert list(sequence.judge_bar(minute(4))) == [120_000, 180_000]
    assert list(sequence.judge_candle("1m", 5 * 60_000)) == []
    assert list(sequence.judge_candle("1m", 7 * 60_000)) == [300_000, 360_000]
    assert list(sequence.judge_candle("1m", 7 * 60_000)) == []
    assert sequence.is_old_bar(minute(6))
    assert list(sequence.judge_bar(minute(7))) == []
    assert list(sequence.judge_candle("5m", 600_000)) == []
    assert list(sequence.judge_candle("5m", 600_000)) == []
    assert list(sequence.judge_candle("5m", 900_000)) == [600_000]


def test_months_that_are_jumped_over() -> None:
    """Months have no fixed length, and are counted all the same."""
    sequence = SymbolSequence()
    january = Bar.of("BTCUSDT", "1", open_time=datetime(2024, 1, 1, tzinfo=UTC), interval="1M")
    april = datetime(2024, 4, 1, tzinfo=UTC)
    sequence.judge_bar(january)
    missing = sequence.judge_candle("1M", round(april.timestamp() * 1000))
    assert [utc(opened).month for opened in missing] == [2, 3]
