"""Broker, key and account of a fleet, and what real orders need."""

import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import attrs
import pytest

from levitrio.app.wiring.brokers import (
    balances_after,
    check_history,
    check_live,
    guard_account,
    open_credentials,
    simulator_keys,
    venue_name,
)
from levitrio.config.loader import load
from levitrio.config.sections import FleetConfig
from levitrio.errors import ConfigError, FleetLocked, UsageError
from levitrio.records.journal.entries import EquityEntry, History
from levitrio.trading.orders import Fill, Side
from tests.factories import make_fill

KEY = "K7hQ2mZp9XcV4bNw8RtY1uJs6LfD3gAe"
SECRET = "S3xW8vBn5KqT2yHj7MdR9pGc4ZuF6aLe"

TESTNET = "wss://ws-api.testnet.binance.vision/ws-api/v3"


def token() -> str:
    return "t0k3n" * 12


def fleet(folder: Path, sections: str) -> FleetConfig:
    path = folder / "fleet.toml"
    path.write_text(f"{sections}\n[engines.BTCUSDT]\n")
    return load(path)


def key_file(folder: Path) -> Path:
    path = folder / "binance.key"
    path.write_text(f"{KEY}\n{SECRET}\n")
    path.chmod(0o600)
    return path


def live_fleet(folder: Path, url: str = "", feed_url: str = "") -> FleetConfig:
    key_file(folder)
    urls = [f'url = "{each}"' if each else "" for each in (feed_url, url)]
    return fleet(
        folder,
        f'[feed]\nkind = "binance"\n{urls[0]}\n'
        f'[broker]\nkind = "binance"\nkey_file = "binance.key"\n{urls[1]}\n',
    )


def test_real_orders_need_file_and_flag(tmp_path: Path) -> None:
    """`--live` alone and the file alone are refused, each with what to do; both together go."""
    real = live_fleet(tmp_path)
    with pytest.raises(UsageError, match=r"\(production\).*add --live"):
        check_live(real, live=False)
    check_live(real, live=True)
    paper = fleet(tmp_path, "[simulator]\nseed = 1")
    with pytest.raises(UsageError, match='came "paper"'):
        check_live(paper, live=True)
    check_live(paper, live=False)


def test_a_test_network_is_one_line(tmp_path: Path) -> None:
    """It needs both as well, and its venue has another name than the real exchange."""
    config = live_fleet(tmp_path, TESTNET, "wss://stream.testnet.binance.vision")
    with pytest.raises(UsageError, match=r"\(testnet\)"):
        check_live(config, live=False)
    assert venue_name(config) == "binance-testnet"
    assert venue_name(live_fleet(tmp_path)) == "binance"


def test_the_simulator_gets_a_key_for_this_run(tmp_path: Path) -> None:
    """Paper needs none; the built-in simulator knows the one made for it."""
    paper = fleet(tmp_path, "[simulator]\nseed = 1")
    assert open_credentials(paper, token) is None
    assert simulator_keys(paper, None) == ()
    config = fleet(tmp_path, '[simulator]\nseed = 1\n[broker]\nkind = "simulator"')
    credentials = open_credentials(config, token)
    assert credentials is not None
    (known,) = simulator_keys(config, credentials)
    assert known.key == credentials.api_key.reveal()
    assert known.verifier.verify("x", credentials.signer.sign("x"))
    assert venue_name(config) == "simulator"


def test_a_simulator_elsewhere_knows_its_keys(tmp_path: Path) -> None:
    """Without a key file for it the file is refused; with one, that key is used."""
    sections = '[simulator]\nseed = 1\n[broker]\nkind = "simulator"\nurl = "ws://127.0.0.1:9"\n'
    with pytest.raises(ConfigError, match="key_file"):
        fleet(tmp_path, sections)
    key_file(tmp_path)
    config = fleet(tmp_path, sections + 'key_file = "binance.key"')
    credentials = open_credentials(config, token)
    assert credentials is not None
    assert credentials.api_key.reveal() == KEY


def test_one_account_one_fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second fleet with the same key is refused, from whatever folder it is started."""
    monkeypatch.setenv("HOME", str(tmp_path))
    config = live_fleet(tmp_path)
    credentials = open_credentials(config, token)
    other = attrs.evolve(config, fleet=attrs.evolve(config.fleet, name="other"))
    with (
        guard_account(config, credentials),
        pytest.raises(FleetLocked, match="in use by fleet fleet"),
        guard_account(other, credentials),
    ):
        pass
    with guard_account(other, credentials):
        pass
    names = [path.name for path in (tmp_path / ".local/state/levitrio/accounts").iterdir()]
    assert all(KEY not in name for name in names)


def test_nothing_to_guard_on_paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paper fleets may be as many as they like."""
    monkeypatch.setenv("HOME", str(tmp_path))
    paper = fleet(tmp_path, "[simulator]\nseed = 1")
    with guard_account(paper, None), guard_account(paper, None):
        assert not (tmp_path / ".local").exists()


def test_the_simulator_remembers_what_the_journal_does() -> None:
    """Balances after fills, with fees in base, quote and another asset."""

    def fill(side: Side, quantity: str, fee: str, asset: str) -> Fill:
        return make_fill(
            side=side,
            quantity=Decimal(quantity),
            fee=Decimal(fee),
            fee_asset=asset,
            time_ms=1,
            venue="simulator",
        )

    fills = [
        fill(Side.BUY, "2", "0.002", "BTC"),
        fill(Side.SELL, "1", "0.1", "USDT"),
        fill(Side.BUY, "0.5", "0.01", "BNB"),
    ]
    held = balances_after(fills, quote="USDT", cash=Decimal(1_000))
    assert held == {
        "USDT": Decimal("849.9"),
        "BTC": Decimal("1.498"),
        "BNB": Decimal(0),
    }


def bought_at(venue: str) -> History:
    fill = make_fill(
        time_ms=1,
        venue=venue,
    )
    return History(fills=(fill,))


def measured_at(account: str) -> History:
    equity = EquityEntry(
        account=account,
        day="2026-11-28",
        capital=Decimal(1),
        day_capital=Decimal(1),
        peak_equity=Decimal(1),
        wall_ms=1,
    )
    return History(equity=equity)


@pytest.mark.parametrize(
    "history",
    [
        bought_at("paper"),
        measured_at("paper"),
        bought_at("binance-testnet"),
        measured_at("simulator"),
    ],
)
def test_another_accounts_journal_is_refused(history: History, tmp_path: Path) -> None:
    """Positions bought on paper are neither sold nor counted at a real venue."""
    with pytest.raises(UsageError, match=r"expected the history of binance, .*data_dir"):
        check_history(live_fleet(tmp_path), history)


def test_its_own_journal_is_taken(tmp_path: Path) -> None:
    """With any account number: the venue reports later whether it is that account."""
    config = live_fleet(tmp_path)
    for history in (History(), bought_at("binance"), measured_at("binance:7")):
        check_history(config, history)


def test_a_hardened_process_leaves_no_core() -> None:
    """No core file, and no process of the same user can read its memory."""
    code = (
        "import ctypes, resource\n"
        "from levitrio.app.wiring.process_hardening import harden\n"
        "harden(); harden()\n"
        "print(resource.getrlimit(resource.RLIMIT_CORE)[0], ctypes.CDLL(None).prctl(3))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    soft, dumpable = done.stdout.split()
    assert soft == "0"
    if sys.platform == "linux":
        assert dumpable == "0"
