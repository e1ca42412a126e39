"""What models are trained on: files, recordings and the generated market."""

import pytest

from levitrio.errors import UsageError
from levitrio.inference.features.bar_observation import BarObserver
from levitrio.trading.market import Bar
from levitrio.venues.simulator.market.price_generator import SLOT_MS, SymbolGenerator
from tests.inference.model_files import MINUTE, needs_training
from tests.paths import SHARED

pytestmark = needs_training

CANDLES = SHARED / "freqtrade" / "10pairs_BTC_5m_2018-01.csv.gz"
RECORDING = SHARED / "hftbacktest" / "btcusdt_20240808.gz"


def test_a_generated_market_is_what_the_simulator_plays() -> None:
    """Bars, order flow and spread of the training data are those of the feed."""
    from levitrio.training.bar_series import EPOCH_MS, generated_series

    series = generated_series("BTCUSDT", seed=7, days=3 / 1440, progress=lambda _: None)
    generator, bar_observer = SymbolGenerator(7, "BTCUSDT"), BarObserver(interval_ms=MINUTE)
    first = EPOCH_MS // SLOT_MS
    ticks = [generator.tick(slot) for slot in range(first, first + MINUTE // SLOT_MS)]
    for tick in ticks:
        bar_observer.see_quote(tick.quote)
        bar_observer.see_trade(tick.trade)
    prices = [tick.trade.price for tick in ticks]
    bar = Bar.of(
        "BTCUSDT",
        prices[-1],
        open_time=EPOCH_MS,
        open=prices[0],
        high=max(prices),
        low=min(prices),
        volume=sum(tick.trade.quantity for tick in ticks),
        trades=len(ticks),
    )
    expected, found = bar_observer.close(bar), series.bars[0]
    assert len(series.bars) == 3
    assert found.imbalance == pytest.approx(expected.imbalance)
    for name in ("open_ms", "open", "high", "low", "close", "volume", "spread"):
        assert getattr(found, name) == getattr(expected, name), name


@pytest.mark.skipif(not CANDLES.exists(), reason="the candles are not beside this checkout")
def test_real_candles_with_real_holes_are_read() -> None:
    """Ten pairs, each candle once."""
    from levitrio.training.bar_series import read_series

    series = read_series(CANDLES, interval="", symbols=[], on_refused=pytest.fail)
    assert len(series) == 10
    assert sum(len(each.bars) for each in series) == 57_546
    assert {each.interval for each in series} == {"5m"}
    with pytest.raises(UsageError, match="BTCUSDT"):
        read_series(CANDLES, interval="", symbols=["BTCUSDT"], on_refused=pytest.fail)


@pytest.mark.skipif(not RECORDING.exists(), reason="the recordings are not beside this checkout")
def test_a_recording_gives_bars_with_flow_and_spread() -> None:
    """Five minutes of a real market, in seconds."""
    from levitrio.inference.models.feature_schema import MARKET
    from levitrio.training.bar_series import read_series
    from levitrio.training.dataset import schema_for

    (series,) = read_series(RECORDING, interval="1s", symbols=[], on_refused=pytest.fail)
    assert series.symbol == "BTCUSDT"
    assert len(series.bars) > 200
    known = [bar for bar in series.bars if bar.imbalance is not None and bar.spread is not None]
    assert len(known) > 0.9 * len(series.bars)
    assert schema_for([series]) is MARKET
