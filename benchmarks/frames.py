"""Frames of trades, as the venue writes them."""

import gzip
import random
from pathlib import Path

RECORDINGS = Path(__file__).resolve().parents[2] / "shared" / "data" / "hftbacktest"
"""Real ones, beside the checkout; may be missing."""

_START_MS = 1_790_000_000_000


def symbols(count: int) -> list[str]:
    """Names that look like symbols."""
    return [f"S{number:03}USDT" for number in range(count)]


def generated(names: list[str], count: int, seed: int = 1) -> list[str]:
    """Trades of these symbols in turns: ids without a gap, prices that wander by ticks."""
    chance = random.Random(seed)
    cents = dict.fromkeys(names, 6000000)
    frames = []
    for number in range(count):
        name = names[number % len(names)]
        cents[name] += chance.randint(-50, 50)
        price = f"{cents[name] / 100:.2f}000000"
        quantity = f"{chance.lognormvariate(-4, 2) + 0.00001:.5f}000"
        time_ms = _START_MS + number // 10
        maker = "true" if chance.random() < 0.5 else "false"
        frames.append(
            f'{{"stream":"{name.lower()}@trade","data":{{"e":"trade","E":{time_ms},"s":"{name}",'
            f'"t":{1_000_000 + number // len(names)},"p":"{price}","q":"{quantity}",'
            f'"T":{time_ms},"m":{maker},"M":true}}}}'
        )
    return frames


def recorded(file: str) -> list[str]:
    """The trades of a real recording; none where it is missing."""
    path = RECORDINGS / file
    if not path.exists():
        return []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [line.partition(" ")[2].rstrip() for line in lines if "@trade" in line]


def websocket_bytes(frames: list[str]) -> bytes:
    """The frames as a server puts them on the wire."""
    parts = []
    for frame in frames:
        payload = frame.encode()
        size = len(payload)
        head = bytes((0x81, size)) if size < 126 else b"\x81\x7e" + size.to_bytes(2, "big")
        parts.append(head + payload)
    return b"".join(parts)
