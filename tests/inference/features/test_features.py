"""Features: published vectors, and batch against stream."""

import re

import attrs
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from levitrio.inference.interface import Missing
from levitrio.inference.models.feature_schema import CANDLES, MARKET
from tests.inference.model_files import MINUTE, needs_ml, some_bars
from tests.paths import SHARED

pytestmark = needs_ml

VECTORS = SHARED / "tulip" / "untest.txt"


def published(name: str) -> tuple[list[list[float]], int]:
    """The rows of numbers below a heading of the published file."""
    if not VECTORS.exists():
        pytest.skip("the published vectors are not beside this checkout")
    block = re.search(rf"^{re.escape(name)}\n((?:\{{.*\}}\n?)+)", VECTORS.read_text(), re.MULTILINE)
    assert block is not None
    rows = [[float(x) for x in line[1:-1].split(",")] for line in block[1].split()]
    return rows, len(rows[0])


@pytest.mark.parametrize(
    ("name", "inputs"), [("rsi 5", 1), ("atr 5", 3), ("bbands 5 2", 1), ("stddev 5", 1)]
)
def test_indicators_equal_the_published_vectors(name: str, inputs: int) -> None:
    """RSI, ATR, Bollinger bands and deviation: conventions agree, so do three decimals."""
    from levitrio.inference.features import indicators

    rows, count = published(name)
    series, expected = rows[:inputs], rows[inputs:]
    running = {
        "rsi": indicators.rsi(5),
        "atr": indicators.atr(5),
        "bbands": indicators.bollinger(5, 2.0),
        "stddev": indicators.deviation(5),
    }[name.split()[0]]
    found: list[tuple[float, ...]] = []
    for index in range(count):
        running.push(*(column[index] for column in series))
        value = running.value
        if value is not None:
            found.append(value[::-1] if isinstance(value, tuple) else (value,))
    # Wilder's range begins one bar later here: the first bar has no close before it.
    skipped = len(expected[0]) - len(found)
    assert skipped in (0, 1)
    for column, values in enumerate(expected):
        got = [each[column] for each in found]
        if skipped:
            assert got[-1] == pytest.approx(values[-1], abs=0.08)
        else:
            assert got == pytest.approx(values, abs=6e-4)


def test_averages_agree_with_the_published_ones_but_for_their_beginning() -> None:
    """They start from the first price, TA-Lib from a mean; from there on the rule is the same."""
    from levitrio.inference.features import indicators

    rows, count = published("ema 5")
    prices, expected = rows
    running = indicators.ema(5)
    for price in prices:
        running.push(price)
    own = prices[0]
    for price in prices[1:]:
        own += (price - own) * 2.0 / 6.0
    assert own == pytest.approx(expected[-1], abs=6e-4)
    seed_share = (4.0 / 6.0) ** (count - 5)
    assert running.value == pytest.approx(own, abs=seed_share * 2.0)


@pytest.mark.parametrize("schema", [CANDLES, MARKET], ids=lambda schema: schema.name)
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    price=st.sampled_from([5e-5, 0.12, 100.0, 60_000.0]),
    count=st.integers(1, 150),
)
def test_batch_equals_stream_bit_for_bit(
    schema: object, seed: int, price: float, count: int
) -> None:
    """A model is asked in production exactly what it was asked in training."""
    import numpy as np

    from levitrio.inference.features.features import WARM_UP, FeatureStream, feature_matrix
    from levitrio.inference.models.feature_schema import FeatureSchema

    assert isinstance(schema, FeatureSchema)
    bars = some_bars(count, seed=seed, price=price)
    stream = FeatureStream(schema, MINUTE)
    rows = [stream.push(bar) for bar in bars]
    matrix = feature_matrix(bars, schema)
    for index, row in enumerate(rows):
        if isinstance(row, Missing):
            assert index < WARM_UP - 1
            assert row.code == "warming_up"
            assert np.isnan(matrix[index]).all()
        else:
            assert row == tuple(matrix[index].tolist())


def test_cheap_coins_have_bands_too() -> None:
    """TA-Lib takes a variance below 1e-14 for none, so prices are scaled first, exactly."""
    from levitrio.inference.features.features import FeatureStream

    cheap, dear = (
        FeatureStream(CANDLES, MINUTE),
        FeatureStream(CANDLES, MINUTE),
    )
    for bar in some_bars(60, price=100.0):
        scaled = {name: getattr(bar, name) * 2.0**-21 for name in ("open", "high", "low", "close")}
        a = dear.push(bar)
        b = cheap.push(msgspec.structs.replace(bar, **scaled))
    assert a == b
    assert isinstance(b, tuple)
    assert b[CANDLES.names.index("bollinger_position")] != 0.0


def test_what_is_not_known_of_a_bar_is_missing_and_named() -> None:
    """An unknown order flow is no flow of zero."""
    from levitrio.inference.features.features import FeatureStream

    stream = FeatureStream(MARKET, MINUTE)
    *past, last = some_bars(40)
    for bar in past:
        stream.push(bar)
    found = stream.push(msgspec.structs.replace(last, imbalance=None))
    assert isinstance(found, Missing)
    assert found.code == "no_order_flow_imbalance"
    assert not found.is_error


@pytest.mark.parametrize(
    ("name", "value"),
    [("close", float("nan")), ("high", float("inf")), ("low", 0.0), ("volume", -1.0)],
)
def test_impossible_bars_are_left_out(name: str, value: float) -> None:
    """And the next sound one goes on as if they had not been."""
    from levitrio.inference.features.features import FeatureStream

    bars = some_bars(50)
    clean, dirty = FeatureStream(CANDLES, MINUTE), FeatureStream(CANDLES, MINUTE)
    for bar in bars[:40] + bars[41:]:
        expected = clean.push(bar)
    for bar in bars[:40]:
        dirty.push(bar)
    refused = dirty.push(msgspec.structs.replace(bars[40], **{name: value}))
    assert isinstance(refused, Missing)
    assert refused.code == "bad_bar"
    for bar in bars[41:]:
        found = dirty.push(bar)
    assert found == expected


def test_old_bars_change_nothing() -> None:
    """A bar that comes twice, as at the seam of warm-up and feed, is taken once."""
    from levitrio.inference.features.features import FeatureStream

    once, twice = FeatureStream(CANDLES, MINUTE), FeatureStream(CANDLES, MINUTE)
    for bar in some_bars(45):
        expected = once.push(bar)
        found = twice.push(bar)
        again = twice.push(bar)
        assert isinstance(again, Missing)
        assert again.code == "old_bar"
    assert found == expected


def test_a_long_hole_begins_anew() -> None:
    """Averages over a night without data are averages of nothing."""
    from levitrio.inference.features.features import MAX_HOLE, FeatureStream

    stream = FeatureStream(CANDLES, MINUTE)
    bars = some_bars(41)
    for bar in bars[:40]:
        stream.push(bar)
    later = bars[39].open_ms + (MAX_HOLE + 1) * MINUTE
    found = stream.push(msgspec.structs.replace(bars[40], open_ms=later))
    assert isinstance(found, Missing)
    assert found.code == "warming_up"


def test_every_feature_has_its_arithmetic() -> None:
    """A name in the schema without a rule is a bug, and says so."""
    from levitrio.inference.features.features import WARM_UP, FeatureStream

    feature = attrs.evolve(CANDLES.features[0], name="astrology")
    stream = FeatureStream(attrs.evolve(CANDLES, features=(feature,)), MINUTE)
    *past, last = some_bars(WARM_UP)
    for bar in past:
        stream.push(bar)
    with pytest.raises(KeyError, match="astrology"):
        stream.push(last)
