"""Coarser bars and holes, by hand and against what a venue said."""

from collections import defaultdict
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levitrio.trading.candles import INTERVALS, next_open_time, open_time
from levitrio.trading.market import Bar
from levitrio.trading.resampling import Hole, Resampler, find_holes, is_multiple, resample
from tests.trading.recorded import lines_of

START = 1_700_000_100_000
"""A multiple of 5 minutes."""
MINUTE = 60_000


def bar(minute: int, close: str = "10", *, trades: int = 1, **prices: str) -> Bar:
    return Bar.of(
        "BTCUSDT",
        close,
        open_time=START + minute * MINUTE,
        trades=trades,
        **prices,  # type: ignore[arg-type]
    )


def test_five_minutes_are_one_bar() -> None:
    """Open of the first, close of the last, extremes and sums of all."""
    bars = [
        bar(0, "11", open="10", high="12", low="9", volume="1.1"),
        bar(1, "13", open="11", high="14", low="11", volume="2.2"),
        bar(2, "8", open="13", high="13", low="7.5", volume="3.3"),
        bar(3, "9", open="8", high="9", low="8", volume="0.4"),
        bar(4, "10", open="9", high="10", low="9", volume="1"),
    ]
    (five,) = resample(bars, "5m")
    assert (five.interval, five.open_time_ms, five.close_time_ms) == ("5m", START, START + 299_999)
    assert (five.raw_open, five.raw_high, five.raw_low, five.raw_close) == ("10", "14", "7.5", "10")
    assert (five.volume, five.trades) == (Decimal("8.0"), 5)


def test_fillers_have_no_price() -> None:
    """The first real trade opens the coarse bar, the last closes it; fillers alone are one."""
    flat = [bar(n, "10", trades=0, volume="0") for n in range(5)]
    real = bar(2, "21", open="20", high="22", low="19")
    (five,) = resample([*flat[:2], real, *flat[3:]], "5m")
    assert (five.raw_open, five.raw_high, five.raw_low, five.raw_close) == ("20", "22", "19", "21")
    (filler,) = resample(flat, "5m")
    assert (filler.raw_open, filler.raw_close, filler.trades) == ("10", "10", 0)


@pytest.mark.parametrize("missing", range(5))
def test_a_hole_makes_no_bar(missing: int) -> None:
    """Wherever a minute is missing, its five minutes are not made, and the next five are."""
    resampler = Resampler("5m")
    made = [resampler.add(bar(n)) for n in range(10) if n != missing]
    assert [five.open_time_ms for five in made if five is not None] == [START + 5 * MINUTE]
    assert resampler.incomplete == 1


def test_a_start_in_the_middle_and_repeats() -> None:
    """What is seen only from its middle is not made; repeats and older bars are counted."""
    resampler = Resampler("5m")
    minutes = [3, 4, 5, 6, 6, 5, 7, 8, 9]
    made = [five for n in minutes if (five := resampler.add(bar(n))) is not None]
    assert [five.open_time_ms for five in made] == [START + 5 * MINUTE]
    assert (resampler.incomplete, resampler.late) == (1, 2)


@pytest.mark.parametrize(
    ("coarse", "fine", "fits"),
    [
        ("5m", "1m", True),
        ("5m", "3m", False),
        ("1m", "1m", False),
        ("1m", "5m", False),
        ("1w", "1d", True),
        ("1w", "3d", False),
        ("1M", "1d", True),
        ("1M", "1w", False),
        ("1d", "1M", False),
        ("1M", "1M", False),
    ],
)
def test_which_intervals_make_up_which(coarse: str, fine: str, fits: bool) -> None:
    """Only a divisor whose grid meets the coarse one."""
    assert is_multiple(coarse, fine) is fits
    if not fits:
        with pytest.raises(ValueError, match="expected bars that make up"):
            Resampler(coarse).add(Bar.of("B", "1", open_time=0, interval=fine))


@given(st.sampled_from(INTERVALS), st.integers(1, 40), st.sets(st.integers(1, 39)))
def test_holes_are_found_exactly(interval: str, count: int, gone: set[int]) -> None:
    """Whatever is taken away from between two bars is found, and nothing else."""
    times = [open_time(interval, START)]
    while len(times) < count + 1:
        times.append(next_open_time(interval, times[-1]))
    kept = [t for n, t in enumerate(times) if n in (0, count) or n not in gone]
    found: list[int] = []
    for hole in find_holes([*reversed(kept), *kept], interval):
        opened = [hole.first_open_ms]
        while len(opened) < hole.missing:
            opened.append(next_open_time(interval, opened[-1]))
        assert opened[-1] == hole.last_open_ms
        found += opened
    assert found == sorted(set(times) - set(kept))


def test_a_time_off_the_grid_is_no_hole() -> None:
    """Data that opens between two bars is refused."""
    with pytest.raises(ValueError, match="expected an open time of 5m"):
        find_holes([START, START + 1], "5m")


def real_bars() -> dict[str, list[Bar]]:
    """BTC/USDT, every timeframe fetched at one moment."""
    bars: defaultdict[str, list[Bar]] = defaultdict(list)
    rows = lines_of("octobot/binance_BTCUSDT_2018_multi_tf.csv.gz")
    next(rows)
    for row in rows:
        _, _, interval, seconds, opened, high, low, close, volume = row.split(",")
        opened_ms = int(seconds) * 1000
        candle = Bar(
            symbol="BTCUSDT",
            interval=interval,
            open_time_ms=opened_ms,
            close_time_ms=next_open_time(interval, opened_ms) - 1,
            raw_open=opened,
            raw_high=high,
            raw_low=low,
            raw_close=close,
            raw_volume=volume,
            trades=int(float(volume) > 0),
        )
        bars[interval].append(candle)
    return bars


def values(candle: Bar) -> tuple[Decimal, ...]:
    return (candle.open, candle.high, candle.low, candle.close, candle.volume)


def test_every_timeframe_equals_the_venue_s() -> None:
    """Each timeframe made from each finer one is, bar by bar, the one the venue sent."""
    bars = real_bars()
    compared = 0
    pairs = [(coarse, fine) for coarse in bars for fine in bars if is_multiple(coarse, fine)]
    assert len(pairs) == 35
    for coarse, fine in pairs:
        # The last bar of each timeframe was still open when it was fetched.
        theirs = {candle.open_time_ms: candle for candle in bars[coarse][:-1]}
        for ours in resample(bars[fine][:-1], coarse):
            if ours.open_time_ms == bars[coarse][-1].open_time_ms:
                continue
            assert values(ours) == values(theirs[ours.open_time_ms]), (coarse, fine)
            compared += 1
    assert compared > 2_000


def test_real_holes() -> None:
    """Of ten real pairs five have holes, found with their exact number of bars."""
    times: defaultdict[str, list[int]] = defaultdict(list)
    rows = lines_of("freqtrade/10pairs_BTC_5m_2018-01.csv.gz")
    next(rows)
    for row in rows:
        symbol, _, seconds, *_ = row.split(",")
        times[symbol.removesuffix("/BTC")].append(int(seconds) * 1000)
    holes = {symbol: find_holes(opened, "5m") for symbol, opened in times.items()}
    missing = {symbol: sum(h.missing for h in found) for symbol, found in holes.items() if found}
    assert missing == {"ADA": 40, "TRX": 6, "DASH": 2, "XMR": 2, "ZEC": 2}
    assert len(times) == 10
    for symbol, opened in times.items():
        span = (max(opened) - min(opened)) // 300_000 + 1
        assert len(opened) + missing.get(symbol, 0) == span
    one = Hole(first_open_ms=START, last_open_ms=START, missing=1)
    assert find_holes([START - 300_000, START + 300_000], "5m") == [one]
