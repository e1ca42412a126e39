"""Reads the closed bars that models are trained on, from files or the generator."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import attrs

from levitrio.errors import UsageError
from levitrio.inference.features.bar_observation import BarObserver, Observation, spread_of
from levitrio.replay.data.candle_file import CandleFile
from levitrio.replay.data.recording_tape import RecordingTape
from levitrio.trading.candles import FIXED_INTERVALS
from levitrio.trading.market import Bar, Quote, Trade
from levitrio.venues.recordings.frames import is_recording, streams_in
from levitrio.venues.recordings.line_file import LineFile
from levitrio.venues.simulator.market.price_generator import SLOT_MS, SymbolGenerator

EPOCH_MS = 1_700_000_000_000 // 86_400_000 * 86_400_000
"""Midnight on which a generated past begins; arbitrary, but the same each time."""


@attrs.frozen(kw_only=True)
class Series:
    """The bars of one symbol, oldest first, each once."""

    symbol: str
    interval: str
    bars: tuple[Observation, ...]


def read_series(
    path: Path, *, interval: str, symbols: Sequence[str], on_refused: Callable[[str], None]
) -> list[Series]:
    """The series of a candle file or of a recording, in alphabetical order of symbols.

    Args:
        path: a CSV of candles or a recording, plain or gzip.
        interval: of the bars; empty takes the one that a candle file holds.
        symbols: the only ones wanted; empty takes all.
        on_refused: called with a text about each refused line.

    Raises:
        UsageError: the file holds none of the wanted bars.
    """
    if is_recording(LineFile(path, on_refused)):
        found = _of_recording(path, interval or "1m", symbols, on_refused)
    else:
        found = _of_candles(path, interval, symbols, on_refused)
    found = [series for series in found if series.bars]
    if not found:
        raise UsageError(
            f"{path}: expected bars of {interval or 'some interval'} of "
            f"{', '.join(symbols) or 'any symbol'}, found none"
        )
    return found


def _of_candles(
    path: Path, interval: str, symbols: Sequence[str], on_refused: Callable[[str], None]
) -> list[Series]:
    file = CandleFile(path, "" if len(symbols) != 1 else symbols[0], on_refused)
    intervals = sorted({each for found in file.found.values() for each in found})
    if not interval and len(intervals) > 1:
        raise UsageError(f"{path}: holds {', '.join(intervals)}: choose one with --interval")
    wanted = interval or next(iter(intervals), "")
    by_symbol: dict[str, dict[int, Observation]] = defaultdict(dict)
    for row in file.rows():
        if row.interval == wanted and (not symbols or row.symbol in symbols):
            opened, high, low, close, volume = map(float, row.prices)
            by_symbol[row.symbol].setdefault(
                row.open_ms,
                Observation(
                    open_ms=row.open_ms,
                    open=opened,
                    high=high,
                    low=low,
                    close=close,
                    volume=volume,
                ),
            )
    return [
        Series(symbol=symbol, interval=wanted, bars=tuple(bars[at] for at in sorted(bars)))
        for symbol, bars in sorted(by_symbol.items())
    ]


def _of_recording(
    path: Path, interval: str, symbols: Sequence[str], on_refused: Callable[[str], None]
) -> list[Series]:
    wanted = sorted(
        symbols
        or {
            stream.removesuffix("@trade").upper()
            for stream in streams_in(LineFile(path, on_refused))
            if stream.endswith("@trade")
        }
    )
    observers = {symbol: BarObserver(interval_ms=FIXED_INTERVALS[interval]) for symbol in wanted}
    bars: dict[str, list[Observation]] = {symbol: [] for symbol in wanted}
    tape = RecordingTape(
        paths=[path],
        symbols=wanted,
        intervals=[interval],
        on_refused=on_refused,
        quoted=set(wanted),
    )
    for event in tape:
        bar_observer = observers[event.symbol]
        match event:
            case Trade():
                bar_observer.see_trade(event)
            case Quote():
                bar_observer.see_quote(event)
            case Bar() if event.trades and event.interval == interval:
                bars[event.symbol].append(bar_observer.close(event))
    return [
        Series(symbol=symbol, interval=interval, bars=tuple(found))
        for symbol, found in bars.items()
    ]


def generated_series(
    symbol: str, *, seed: int, days: float, progress: Callable[[float], None]
) -> Series:
    """One-minute bars of the simulator's market, with order flow and spread.

    Args:
        symbol: any.
        seed: of the market, as in `[simulator] seed`.
        days: how much of it.
        progress: called with the share that is done, 0 to 1.
    """
    generator = SymbolGenerator(seed, symbol)
    minutes = max(1, round(days * 1440))
    bars = []
    for minute in range(minutes):
        bars.append(_generated_bar(generator, EPOCH_MS + minute * 60_000))
        if minute % 200 == 0:
            progress(minute / minutes)
    return Series(symbol=symbol, interval="1m", bars=tuple(bars))


def _generated_bar(generator: SymbolGenerator, open_ms: int) -> Observation:
    first = open_ms // SLOT_MS
    slots = range(first, first + 60_000 // SLOT_MS)
    prices, bought, sold = [], 0, 0
    for slot in slots:
        draw = generator.draw(slot)
        prices.append(draw.price)
        if draw.is_sale:
            sold += draw.quantity
        else:
            bought += draw.quantity

    def price(ticks: int) -> float:
        return float(generator.price_text(ticks))

    return Observation(
        open_ms=open_ms,
        open=price(prices[0]),
        high=price(max(prices)),
        low=price(min(prices)),
        close=price(prices[-1]),
        volume=float(generator.quantity_text(bought + sold)),
        imbalance=(bought - sold) / (bought + sold),
        spread=spread_of(generator.tick(slots[-1]).quote),
    )


def pieces(series: Series, begins_anew: Callable[[int, int, int], bool]) -> Iterator[Series]:
    """The series cut at its long gaps, so that no feature reaches across one."""
    length = FIXED_INTERVALS[series.interval]
    start = 0
    for index in range(1, len(series.bars) + 1):
        is_end = index == len(series.bars)
        if is_end or begins_anew(
            series.bars[index - 1].open_ms, series.bars[index].open_ms, length
        ):
            yield attrs.evolve(series, bars=series.bars[start:index])
            start = index
