"""The first lines of `levi run`."""

import tomllib
from pathlib import Path

import attrs
import pytest

from levitrio.app.banner import live_warning, mode, opening, orders_to, root_warning
from levitrio.app.status.supervision_events import LEVELS
from levitrio.config.sections import BrokerSection
from levitrio.records.logs.log_format import LogRecord, human_line
from tests.app.virtual import write_fleet
from tests.app.wiring.test_brokers import live_fleet


def test_it_says_what_runs_and_how_to_reach_it(tmp_path: Path) -> None:
    """Fleet, market, kind of orders, data, socket; on paper nothing is alarming."""
    config = write_fleet(tmp_path)
    text = opening(config, "the built-in simulator", "/run/virtual.sock")
    assert text.startswith("virtual: 3 engines, market data from the built-in simulator, paper")
    assert text.endswith("`levi ctl status` (socket /run/virtual.sock)")
    assert live_warning(config) is None


def test_a_live_fleet_warns(tmp_path: Path) -> None:
    """A line of its own, bold and red on a terminal."""
    warning = live_warning(live_fleet(tmp_path))
    assert warning == "LIVE: orders of this fleet are sent to Binance (production)"
    record = LogRecord(0, LEVELS["live"], None, "live", {"text": warning})
    assert b"\x1b[1;31mlive\x1b[0m LIVE: " in human_line(record, colour=True)


def test_real_money_as_root_warns(tmp_path: Path) -> None:
    """A warning, no refusal: containers do that; on paper there is none."""
    text = root_warning(live_fleet(tmp_path), 0)
    assert text is not None
    assert "as root" in text
    assert root_warning(live_fleet(tmp_path), 1000) is None
    assert root_warning(write_fleet(tmp_path), 0) is None


@pytest.mark.parametrize(
    ("broker", "expected"),
    [
        ("", ("paper", "paper")),
        ('kind = "simulator"', ("simulator", "simulator")),
        ('kind = "binance"', ("live", "Binance production")),
        (
            'kind = "binance"\nurl = "wss://testnet.binance.vision/ws-api/v3"',
            ("live", "Binance testnet"),
        ),
    ],
)
def test_who_gets_the_orders(tmp_path: Path, broker: str, expected: tuple[str, str]) -> None:
    """A mode for programs, and a text for people."""
    config = write_fleet(tmp_path)
    config = attrs.evolve(config, broker=BrokerSection(**tomllib.loads(broker)))
    assert (mode(config), orders_to(config)) == expected
