"""From `--recording` to a tape: what kind of file is it, and whose."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

from levitrio.app import settings
from levitrio.config.sections import FleetConfig
from levitrio.errors import UsageError
from levitrio.replay.data.candle_tape import CandleTape
from levitrio.replay.data.recording_tape import RecordingTape
from levitrio.replay.data.tape import SPREAD, Tape
from levitrio.trading.market import normalize_symbol
from levitrio.venues.recordings.frames import is_recording
from levitrio.venues.recordings.line_file import LineFile


def open_tape(
    config: FleetConfig,
    recordings: Sequence[str],
    *,
    spread: Decimal = SPREAD,
    on_refused: Callable[[str], None] = lambda _: None,
) -> Tape:
    """The tape of all files together: recordings, or candle files.

    Args:
        config: the fleet that will hear it.
        recordings: paths; `SYMBOL=PATH` for a candle file that does not say its symbol.
        spread: between bid and ask where the files have no quotes, a fraction of the price.
        on_refused: called with a text for each of the first lines that cannot be used.

    Raises UsageError when a file is missing, is neither, or has nothing of the fleet, and when
    entries are to rest in candles.
    """
    symbols = tuple(config.engines)
    intervals = settings.kline_intervals(config)
    files = [_named(text, symbols) for text in recordings]
    if not files:
        raise UsageError("expected at least one --recording FILE")
    kinds = {is_recording(LineFile(path, _ignore)) for path, _ in files}
    if kinds == {True}:
        return RecordingTape(
            [path for path, _ in files], symbols, intervals, spread=spread, on_refused=on_refused
        )
    if kinds == {False}:
        if config.broker.entry != "market":
            raise UsageError(
                "a candle does not tell in which order its prices came, so nobody knows what an "
                f'order that rests got: expected broker.entry = "market" with candle files, came '
                f'"{config.broker.entry}"; add --set broker.entry=market'
            )
        return CandleTape(files, symbols, intervals, spread=spread, on_refused=on_refused)
    raise UsageError("expected recordings or candle files, got both in one replay")


def _named(text: str, symbols: Sequence[str]) -> tuple[Path, str]:
    """A file, and the symbol that is meant by it if it does not say one itself."""
    name, sign, rest = text.partition("=")
    if sign and not Path(text).exists():
        try:
            symbol = normalize_symbol(name)
        except ValueError as error:
            raise UsageError(f"--recording {text}: {error}") from None
        if symbol not in symbols:
            raise UsageError(
                f"--recording {text}: expected a symbol of the fleet ({', '.join(symbols)})"
            )
        return Path(rest), symbol
    path = Path(text)
    stem = "".join(c for c in path.name.upper() if c.isalnum())
    meant = [symbol for symbol in symbols if symbol in stem]
    if not meant and len(symbols) == 1:
        meant = list(symbols)
    return path, max(meant, key=len, default="")


def _ignore(_: str) -> None:
    pass
