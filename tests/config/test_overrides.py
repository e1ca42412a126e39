"""Keys of fleet.toml overridden on the command line."""

from decimal import Decimal
from pathlib import Path

import pytest

from levitrio.config.loader import load
from levitrio.config.overrides import parse_key, parse_override, parse_value
from levitrio.config.sections import FleetConfig
from levitrio.errors import ConfigError, UsageError
from levitrio.strategies import catalog
from tests.config.files import write

FILE = """
[simulator]
[broker]
fee = 0.002
[defaults.params]
fast = 5
[engines."BTC/USDT"]
[engines.ETHUSDT]
"""


def loaded(folder: Path, *settings: str) -> FleetConfig:
    overrides = [parse_override(text) for text in settings]
    return load(write(folder, FILE), check_strategy=catalog.check, overrides=overrides)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8", 8),
        ("0.1", Decimal("0.1")),
        ("true", True),
        ("breakout", "breakout"),
        ("50ms", "50ms"),
        ('"8"', "8"),
        ("[1, 2]", [1, 2]),
        ("1\nother = 2", "1\nother = 2"),
        ("", ""),
    ],
)
def test_values_are_toml_or_text(text: str, value: object) -> None:
    """What TOML can read is read so; anything else is the text itself."""
    assert parse_value(text) == value


def test_keys_are_toml() -> None:
    """Dotted, with quotes where a name needs them."""
    assert parse_key('engines."BTC/USDT".params.fast') == ("engines", "BTC/USDT", "params", "fast")
    for text in ("", "a b", "a = 1\nb", "[a]", "a.", "{}"):
        with pytest.raises(UsageError, match="expected a key such as"):
            parse_key(text)
    with pytest.raises(UsageError, match="expected KEY=VALUE"):
        parse_override("broker.fee")


def test_an_override_counts_in_place_of_the_file(tmp_path: Path) -> None:
    """Sections, defaults and engines, whatever way the file writes the symbol."""
    config = loaded(
        tmp_path, "broker.fee=0", "engines.btc-usdt.params.fast=8", "broker.latency=50ms"
    )
    assert (config.broker.fee, config.broker.latency) == (Decimal(0), 0.05)
    assert config.engines["BTCUSDT"].params == {"fast": 8}
    assert config.engines["ETHUSDT"].params == {"fast": 5}


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("broker.fe=1", '--set broker.fe: expected a known key, came "fe" (did you mean fee?)'),
        ("broker.fee=2", "--set broker.fee: expected a number from 0 to 0.1, came 2"),
        ("defaults.params.fst=2", "--set defaults.params.fst: ema_cross has no parameter 'fst'"),
        ("risk.kelly_fraction.x=2", "--set risk.kelly_fraction: expected"),
    ],
)
def test_a_typo_is_told_with_the_option(tmp_path: Path, setting: str, says: str) -> None:
    """By the rules of the file, with a suggestion; no line of the file is blamed."""
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, setting)
    assert caught.value.problems[0].startswith(says)


def test_an_unknown_engine_is_not_added(tmp_path: Path) -> None:
    """A typo in a symbol is refused with the nearest one."""
    with pytest.raises(UsageError, match=r"came ETHUSD \(did you mean ETHUSDT\?\)"):
        loaded(tmp_path, "engines.ETHUSD.params.fast=3")
    with pytest.raises(UsageError, match=r"expected broker\.fee to be a table"):
        loaded(tmp_path, "broker.fee.x=3")
