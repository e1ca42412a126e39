"""The recorded tape, on small files and on the real ones."""

import gzip
import json
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from levitrio.errors import UsageError
from levitrio.venues.recordings.frames import TapeEvent
from levitrio.venues.simulator.market.recorded_tape import RecordedTape
from tests.paths import SHARED
from tests.venues.simulator.recordings import EXCHANGE_MS, LOCAL_NS, quote_line, trade_line, write

DATA = SHARED / "hftbacktest"


def play(tape: RecordedTape) -> list[TapeEvent]:
    events: list[TapeEvent] = []
    while (step := tape.step()) is not None:
        events += step
    return events


def of(events: list[TapeEvent], stream: str) -> list[Any]:
    return [json.loads(event.data) for event in events if event.stream == stream]


def test_files_are_merged_by_local_time(tmp_path: Path) -> None:
    """Two files become one tape; after its end it stays ended."""
    btc = write(tmp_path / "btc", trade_line(1), trade_line(2, after_ms=20))
    eth = write(tmp_path / "eth.gz", trade_line(9, symbol="ETHUSDT", after_ms=10))
    tape = RecordedTape([btc, eth], pytest.fail)
    assert tape.recorded_streams == {"btcusdt@trade", "ethusdt@trade"}
    assert tape.market_ms == 0
    assert [event.stream[:3] for event in play(tape)] == ["btc", "eth", "btc"]
    assert tape.step() is None
    assert tape.trades == 3
    assert tape.market_ms == EXCHANGE_MS + 20
    assert tape.horizon_ms is None


def test_what_the_recording_lacks_is_made_from_its_trades(tmp_path: Path) -> None:
    """Aggregates and candles appear once they are subscribed, and not for other symbols."""
    lines = [trade_line(n, after_ms=n * 30_000) for n in range(6)]
    tape = RecordedTape([write(tmp_path / "a", *lines)], pytest.fail)
    tape.start(5)
    for stream in ("btcusdt@aggTrade", "btcusdt@kline_1m", "btcusdt@trade", "ethusdt@kline_1m"):
        tape.subscribe(stream)
    events = play(tape)
    assert [data["a"] for data in of(events, "btcusdt@aggTrade")] == list(range(6))
    assert len(of(events, "btcusdt@trade")) == 6
    assert of(events, "ethusdt@kline_1m") == []
    candles = of(events, "btcusdt@kline_1m")
    assert [(data["k"]["n"], data["k"]["x"]) for data in candles if data["k"]["x"]]
    tape.unsubscribe("btcusdt@aggTrade")
    tape.unsubscribe("nonsense")


def test_recorded_streams_are_not_made_again(tmp_path: Path) -> None:
    """A kline stream in the file is played as it is, and nothing is added to it."""
    kline = f'{LOCAL_NS} {{"stream":"btcusdt@kline_1m","data":{{"e":"kline"}}}}'
    path = write(tmp_path / "a", trade_line(1), kline, trade_line(2, after_ms=90_000))
    tape = RecordedTape([path], pytest.fail)
    tape.subscribe("btcusdt@kline_1m")
    assert of(play(tape), "btcusdt@kline_1m") == [{"e": "kline"}]


def test_a_symbol_that_fell_silent_has_its_candle_closed(tmp_path: Path) -> None:
    """Another symbol's time closes it, two seconds after its end, and the end of the tape too."""
    lines = [
        trade_line(1),
        trade_line(5, symbol="ETHUSDT", after_ms=1),
        trade_line(6, symbol="ETHUSDT", after_ms=61_000),
        trade_line(7, symbol="ETHUSDT", after_ms=64_000),
    ]
    tape = RecordedTape([write(tmp_path / "a", *lines)], pytest.fail)
    tape.subscribe("btcusdt@kline_1m")
    tape.subscribe("btcusdt@kline_1s")
    events = play(tape)
    (closed,) = [data for data in of(events, "btcusdt@kline_1m") if data["k"]["x"]]
    assert closed["k"]["n"] == 1
    seconds = [data["k"]["t"] for data in of(events, "btcusdt@kline_1s") if data["k"]["x"]]
    assert seconds == [1_700_000_001_000 + number * 1000 for number in range(64)]


@pytest.mark.parametrize(
    "bad",
    ['"p":"NaN"', '"p":"-1"', '"p":"0"', '"p":"1e400"', '"p":"x"', '"p":null'],
)
def test_a_hostile_trade_is_played_but_makes_no_candle(tmp_path: Path, bad: str) -> None:
    """The listener must cope with it as with the venue's own; the candle stays clean."""
    line = trade_line(2, price="77").replace('"p":"77"', bad)
    path = write(tmp_path / "a", trade_line(1), line, trade_line(3, after_ms=2_500))
    refused: list[str] = []
    tape = RecordedTape([path], refused.append)
    tape.subscribe("btcusdt@kline_1m")
    events = play(tape)
    assert len(of(events, "btcusdt@trade")) == 3
    assert of(events, "btcusdt@kline_1m")[-1]["k"]["n"] == 2
    assert tape.refused == 1
    assert "expected a trade" in refused[0]


def test_refused_lines_are_counted_and_the_first_ones_told(tmp_path: Path) -> None:
    """A file full of noise does not flood the log."""
    path = write(tmp_path / "a", trade_line(1), *["noise"] * 50, trade_line(2))
    refused: list[str] = []
    tape = RecordedTape([path], refused.append)
    assert len(play(tape)) == 2
    assert (tape.refused, len(refused)) == (50, 10)


def test_a_file_without_a_single_frame_is_no_recording(tmp_path: Path) -> None:
    """It is refused before anything starts."""
    for content in ((), ("noise",)):
        with pytest.raises(UsageError, match="found not one"):
            RecordedTape([write(tmp_path / "a", *content)], pytest.fail)


def test_closing_ends_the_tape(tmp_path: Path) -> None:
    """No file stays open, also in the middle."""
    tape = RecordedTape([write(tmp_path / "a", trade_line(1), quote_line(2))], pytest.fail)
    assert tape.step()
    tape.close()
    tape.close()
    assert tape.step() is None


def test_the_real_recordings_lose_no_trade_and_make_the_right_candles() -> None:
    """Both files, merged: every @trade line once, in file order; candles as summed apart."""
    paths = [DATA / "btcusdt_20240808.gz", DATA / "ethusdt_20240808.gz"]
    if not all(path.exists() for path in paths):
        pytest.skip("the hftbacktest recordings are not beside the checkout")
    tape = RecordedTape(paths, pytest.fail)
    symbols = ("btcusdt", "ethusdt")
    for symbol in symbols:
        tape.subscribe(f"{symbol}@kline_1m")
    played: defaultdict[str, list[bytes]] = defaultdict(list)
    candles: defaultdict[str, list[Any]] = defaultdict(list)
    latest = 0
    for event in play(tape):
        assert event.time_ns >= latest
        latest = event.time_ns
        played[event.stream].append(event.data)
        if "kline" in event.stream:
            candle = json.loads(event.data)["k"]
            if candle["x"]:
                candles[event.stream].append(candle)
    assert (tape.trades, tape.refused) == (9757 + 6106, 0)
    for symbol, path in zip(symbols, paths, strict=True):
        with gzip.open(path) as file:
            lines = [line for line in file if b"@trade" in line]
        frames = [line.partition(b'"data":')[2].rstrip()[:-1] for line in lines]
        assert played[f"{symbol}@trade"] == frames
        groups: defaultdict[int, list[Any]] = defaultdict(list)
        for frame in frames:
            trade = json.loads(frame)
            groups[trade["T"] // 60_000 * 60_000].append(trade)
        closed = candles[f"{symbol}@kline_1m"]
        # The last minute is not over when the recording ends.
        assert [candle["t"] for candle in closed] == sorted(groups)[:-1]
        for candle in closed:
            trades = groups[candle["t"]]
            prices = [Decimal(trade["p"]) for trade in trades]
            assert candle["n"] == len(trades)
            assert Decimal(candle["o"]) == prices[0]
            assert Decimal(candle["c"]) == prices[-1]
            assert Decimal(candle["h"]) == max(prices)
            assert Decimal(candle["l"]) == min(prices)
            assert Decimal(candle["v"]) == sum(Decimal(trade["q"]) for trade in trades)
            assert Decimal(candle["V"]) == sum(
                Decimal(trade["q"]) for trade in trades if not trade["m"]
            )
