"""Recordings and fleets for the tests of replay."""

import gzip
from collections.abc import Iterable
from pathlib import Path

from levitrio.config.loader import load
from levitrio.config.sections import FleetConfig
from tests.paths import SHARED

DATA = SHARED
"""Real data, beside the checkout; may be missing."""

START_MS = 1_790_000_000_000
"""A whole minute, and a whole hour less twenty minutes."""

ROOMY = """
[risk]
max_symbol_exposure = 0.05
max_daily_loss = 1
max_drawdown = 1
max_orders_per_minute = 100000
"""


def trade_line(
    price: object,
    *,
    at: int,
    number: int,
    symbol: str = "BTCUSDT",
    quantity: object = "0.5",
    is_sale: bool = False,
) -> str:
    """One recorded trade, `at` ms after the start; `is_sale`: the taker sold."""
    time_ms = START_MS + at
    return (
        f'{time_ms * 1_000_000} {{"stream":"{symbol.lower()}@trade","data":{{"e":"trade",'
        f'"E":{time_ms},"s":"{symbol}","t":{number},"p":"{price}","q":"{quantity}",'
        f'"T":{time_ms},"m":{str(is_sale).lower()},"M":true}}}}'
    )


def quote_line(bid: object, ask: object, *, at: int, symbol: str = "BTCUSDT") -> str:
    """One recorded quote, `at` ms after the start."""
    return (
        f'{(START_MS + at) * 1_000_000} {{"stream":"{symbol.lower()}@bookTicker","data":'
        f'{{"u":{at},"s":"{symbol}","b":"{bid}","B":"1","a":"{ask}","A":"1"}}}}'
    )


def write_lines(path: Path, lines: Iterable[str]) -> Path:
    """A recording of these lines."""
    text = "".join(f"{line}\n" for line in lines)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def write_fleet(
    folder: Path,
    engines: str = "[engines.BTCUSDT]\n",
    *,
    extra: str = "",
    risk: str = ROOMY,
) -> FleetConfig:
    """A fleet.toml in `folder`; `extra` goes before the engines."""
    path = folder / "fleet.toml"
    path.write_text(f"[simulator]\n{risk}{extra}\n{engines}")
    path.chmod(0o600)
    return load(path)


def head_of(name: str, lines: int, folder: Path) -> Path:
    """The first lines of a real recording, plain."""
    with gzip.open(DATA / "hftbacktest" / name, "rt", encoding="utf-8") as file:
        kept = [line.rstrip("\n") for _, line in zip(range(lines), file, strict=False)]
    return write_lines(folder / name.replace(".gz", ".jsonl"), kept)
