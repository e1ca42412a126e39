"""What a reload would change."""

from pathlib import Path

import pytest

from levitrio.config.diff import difference
from levitrio.config.loader import load
from levitrio.config.sections import FleetConfig

BASE = """
[feed]
url = "ws://127.0.0.1:1"
[defaults]
strategy = "ema_cross"
[engines.BTCUSDT]
[engines.ETHUSDT]
"""


def read(folder: Path, text: str) -> FleetConfig:
    path = folder / "fleet.toml"
    path.write_text(text)
    return load(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (BASE, {}),
        ("# a comment\n" + BASE.replace("BTCUSDT", '"BTC/USDT"'), {}),
        (BASE + "[engines.SOLUSDT]\n", {"added": ("SOLUSDT",)}),
        (BASE.replace("[engines.BTCUSDT]\n", ""), {"removed": ("BTCUSDT",)}),
        (BASE + "params = {fast = 3}\n", {"changed": ("ETHUSDT",)}),
        (BASE.replace("ema_cross", "breakout"), {"changed": ("BTCUSDT", "ETHUSDT")}),
        (BASE + "[risk]\nmax_open_positions = 2\n", {"sections": ("risk",)}),
        (BASE + "[recovery]\nwindow = 60\n", {"sections": ("recovery",)}),
        (BASE + "[broker]\nfee = 0.002\n", {"restart_needed": ("broker",)}),
        (BASE.replace(":1", ":2"), {"restart_needed": ("feed",)}),
    ],
)
def test_difference(text: str, expected: dict[str, tuple[str, ...]], tmp_path: Path) -> None:
    """Files are compared by what they mean; each difference is where it belongs."""
    changes = difference(read(tmp_path, BASE), read(tmp_path, text))
    found = {
        name: getattr(changes, name)
        for name in ("added", "removed", "changed", "sections", "restart_needed")
        if getattr(changes, name)
    }
    assert found == expected
    assert changes.is_empty is not bool(expected)
    touched = {*changes.added, *changes.removed, *changes.changed}
    assert touched.isdisjoint(changes.unchanged)
