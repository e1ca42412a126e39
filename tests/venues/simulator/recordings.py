"""Small recordings for tests, in the format of the real ones."""

import gzip
from pathlib import Path

LOCAL_NS = 1_700_000_000_000_000_000
EXCHANGE_MS = 1_700_000_001_200
"""The recorder's clock is behind the exchange's, as in the real files."""


def trade_line(number: int, *, symbol: str = "BTCUSDT", after_ms: int = 0, price: str = "") -> str:
    """One trade, `after_ms` after the start of the recording; `number` is its id."""
    time_ms = EXCHANGE_MS + after_ms
    data = (
        f'{{"e":"trade","E":{time_ms},"s":"{symbol}","t":{number},'
        f'"p":"{price or f"{100 + number % 7}.00000000"}","q":"0.50000000",'
        f'"T":{time_ms},"m":true,"M":true}}'
    )
    stream = f"{symbol.lower()}@trade"
    return f'{LOCAL_NS + after_ms * 1_000_000} {{"stream":"{stream}","data":{data}}}'


def quote_line(number: int, *, symbol: str = "BTCUSDT", after_ms: int = 0) -> str:
    """One quote."""
    data = f'{{"u":{number},"s":"{symbol}","b":"99.0","B":"1.0","a":"101.0","A":"1.0"}}'
    stream = f"{symbol.lower()}@bookTicker"
    return f'{LOCAL_NS + after_ms * 1_000_000} {{"stream":"{stream}","data":{data}}}'


def write(path: Path, *lines: str) -> Path:
    """A recording of these lines; gzip when the name says so."""
    text = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path
