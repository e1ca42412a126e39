"""Candles against a computation of their own, and the venue's calendar."""

import csv
import gzip
from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levitrio.trading.candles import (
    INTERVALS,
    MAX_FILLERS,
    Candle,
    CandleBuilder,
    next_open_time,
    open_time,
)
from levitrio.trading.market import Trade
from tests.factories import make_trade
from tests.paths import SHARED

DATA = SHARED
MINUTE = 60_000
START = 1_700_000_040_000  # a whole minute


def ms(*date: int) -> int:
    return int(datetime(*date, tzinfo=UTC).timestamp() * 1000)  # type: ignore[arg-type, misc]


def test_a_candle_says_what_its_trades_were() -> None:
    """Prices, volumes, counts and ids of one interval are those of its trades."""
    builder = CandleBuilder("BTCUSDT", "1m")
    assert builder.current() is None
    for number, (price, quantity, sold) in enumerate(
        [("10", "1", True), ("12", "2", False), ("9", "0.5", True), ("11", "1", False)]
    ):
        builder.add(
            Trade.of(
                "BTCUSDT",
                price,
                quantity,
                time=START + number * 1000,
                trade_id=100 + number,
                buyer_is_maker=sold,
            )
        )
    (closed,) = builder.advance(START + MINUTE)
    assert closed == Candle(
        symbol="BTCUSDT",
        interval="1m",
        open_time_ms=START,
        close_time_ms=START + MINUTE - 1,
        open=Decimal(10),
        high=Decimal(12),
        low=Decimal(9),
        close=Decimal(11),
        volume=Decimal("4.5"),
        quote_volume=Decimal("49.5"),
        taker_volume=Decimal(3),
        taker_quote_volume=Decimal(35),
        trades=4,
        first_trade_id=100,
        last_trade_id=103,
    )


def test_the_bar_of_a_candle_has_its_values() -> None:
    """A strategy's bar carries the candle's prices, volume and number of trades."""
    builder = CandleBuilder("BTCUSDT", "5m")
    builder.add(make_trade(1, "10.5", "2", time_ms=START))
    current = builder.current()
    assert current is not None
    bar = current.bar()
    assert (bar.symbol, bar.interval, bar.trades) == ("BTCUSDT", "5m", 1)
    assert bar.open == bar.high == bar.low == bar.close == Decimal("10.5")
    assert bar.volume == 2
    assert bar.close_time_ms - bar.open_time_ms == 5 * MINUTE - 1


def test_the_last_ms_belongs_to_the_candle_and_the_next_does_not() -> None:
    """A trade on the edge closes the old candle before it is counted in the new one."""
    builder = CandleBuilder("BTCUSDT", "1m")
    assert builder.add(make_trade(1, "10", time_ms=START)) == []
    assert builder.add(make_trade(1, "11", time_ms=START + MINUTE - 1)) == []
    (closed,) = builder.add(make_trade(1, "12", time_ms=START + MINUTE))
    assert (closed.trades, closed.close) == (2, Decimal(11))
    current = builder.current()
    assert current is not None
    assert current.trades == 1
    assert current.open == current.low == Decimal(12)


def test_a_quiet_interval_closes_as_a_filler() -> None:
    """Without trades every price is the last close, and the number of trades is 0."""
    builder = CandleBuilder("BTCUSDT", "1m")
    builder.add(make_trade(7, "10", time_ms=START))
    first, second, third = builder.add(make_trade(8, "20", time_ms=START + 3 * MINUTE))
    assert first.trades == 1
    for filler in (second, third):
        assert filler.volume == 0
        assert (filler.trades, filler.first_trade_id) == (0, -1)
        assert filler.open == filler.high == filler.low == filler.close == 10


def test_a_long_silence_is_a_hole_without_fillers() -> None:
    """After more than a day of quiet minutes only the old candle closes."""
    builder = CandleBuilder("BTCUSDT", "1m")
    builder.add(make_trade(1, "10", time_ms=START))
    later = START + (MAX_FILLERS + 1) * MINUTE
    (closed,) = builder.add(make_trade(1, "10", time_ms=later))
    assert closed.open_time_ms == START
    assert builder.next_open_time_ms == later + MINUTE
    assert len(builder.advance(later + MINUTE * MAX_FILLERS)) == MAX_FILLERS


def test_a_trade_for_a_closed_candle_is_counted_and_left_out() -> None:
    """What was closed once is not opened again."""
    builder = CandleBuilder("BTCUSDT", "1m")
    builder.add(make_trade(1, "10", time_ms=START))
    builder.advance(START + MINUTE)
    assert builder.add(make_trade(1, "10", time_ms=START + 1)) == []
    assert builder.late == 1


@given(
    st.lists(
        st.tuples(
            st.integers(0, 90_000), st.integers(1, 10**6), st.integers(1, 10**6), st.booleans()
        ),
        min_size=1,
        max_size=60,
    ),
    st.sampled_from(["1s", "1m", "3m", "15m"]),
)
def test_any_trades_give_each_interval_once_with_its_own_sums(
    steps: list[tuple[int, int, int, bool]], interval: str
) -> None:
    """Grouping trades by open time in another way gives the same closed candles, in order."""
    builder = CandleBuilder("BTCUSDT", interval)
    groups: defaultdict[int, list[Trade]] = defaultdict(list)
    closed: list[Candle] = []
    now = START
    for number, (gap, price, quantity, sold) in enumerate(steps):
        now += gap
        made = Trade.of(
            "BTCUSDT",
            Decimal(price).scaleb(-2),
            Decimal(quantity).scaleb(-4),
            time=now,
            trade_id=number,
            buyer_is_maker=sold,
        )
        groups[open_time(interval, now)].append(made)
        closed += builder.add(made)
    closed += builder.advance(next_open_time(interval, open_time(interval, now)))
    opened = [candle.open_time_ms for candle in closed]
    assert opened == sorted(set(opened))
    assert {candle.open_time_ms for candle in closed if candle.trades} == set(groups)
    for candle in closed:
        trades = groups[candle.open_time_ms]
        assert candle.trades == len(trades)
        if trades:
            prices = [made.price for made in trades]
            assert candle.open == prices[0]
            assert candle.close == prices[-1]
            assert candle.high == max(prices)
            assert candle.low == min(prices)
            assert candle.volume == sum(made.quantity for made in trades)
            assert candle.quote_volume == sum(made.price * made.quantity for made in trades)


@given(st.sampled_from(INTERVALS), st.integers(0, 4_000_000_000_000))
def test_every_moment_belongs_to_exactly_one_candle(interval: str, time_ms: int) -> None:
    """Candles of an interval leave no gap and do not overlap."""
    opened = open_time(interval, time_ms)
    following = next_open_time(interval, opened)
    assert opened <= time_ms < following
    assert open_time(interval, opened) == opened
    assert open_time(interval, following) == following
    assert open_time(interval, following - 1) == opened


@pytest.mark.parametrize(
    ("interval", "moment", "opened"),
    [
        ("1w", ms(2024, 8, 11, 23, 59), ms(2024, 8, 5)),
        ("1w", ms(2024, 8, 12), ms(2024, 8, 12)),
        ("1M", ms(2024, 2, 29, 12), ms(2024, 2, 1)),
        ("1M", ms(2024, 12, 31, 23), ms(2024, 12, 1)),
        ("1d", ms(2024, 8, 8, 23, 59), ms(2024, 8, 8)),
        ("4h", ms(2024, 8, 8, 7, 59), ms(2024, 8, 8, 4)),
    ],
)
def test_weeks_open_on_monday_and_months_on_the_first(
    interval: str, moment: int, opened: int
) -> None:
    """The calendar of long intervals is the venue's."""
    assert open_time(interval, moment) == opened


def test_the_year_turns_after_december() -> None:
    """The month after December is January of the next year."""
    assert next_open_time("1M", ms(2024, 12, 1)) == ms(2025, 1, 1)


def test_real_candles_open_where_we_say() -> None:
    """Every candle of the venue's own history opens at an open time of ours."""
    path = DATA / "octobot" / "binance_BTCUSDT_2018_multi_tf.csv.gz"
    if not path.exists():
        pytest.skip(f"{path.name} is not beside the checkout")
    with gzip.open(path, "rt") as file:
        rows = [(row["timeframe"], int(row["open_time_s"]) * 1000) for row in csv.DictReader(file)]
    assert len(rows) == 4257
    assert [row for row in rows if open_time(*row) != row[1]] == []
