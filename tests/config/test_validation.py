"""Rules between keys, and between the file and the machine."""

from pathlib import Path

import pytest

from levitrio.config.loader import load
from levitrio.config.validation import environment
from tests.config.files import SIMULATED, only_problem_of, problems_of, write

BINANCE = '[engines.BTCUSDT]\n[feed]\nkind = "binance"\n'
REAL = "4: broker.kind: expected real orders only on real prices"
ORDERS = 'url = "wss://ws-api.testnet.binance.vision/ws-api/v3"\n'
TESTNET = 'url = "wss://stream.testnet.binance.vision"\n'


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (f"[simulator]\n{BINANCE}", "1: simulator: expected no [simulator]"),
        ("[engines.BTCUSDT]\n", "1: feed: expected a [simulator] section, or feed.url"),
        ('[engines.BTCUSDT]\n[feed]\nkind = "simulator"\n', "2: feed: expected a [simulator]"),
        (f'{SIMULATED}[feed]\nurl = "ws://[::1]:9"\n', "4: feed.url: expected no url beside"),
        (f'{SIMULATED}[broker]\nkind = "binance"\nkey_file = "key"\n', REAL),
        (f'{BINANCE}[broker]\nkind = "binance"\n', "4: broker: expected key_file"),
        (f'{BINANCE}[broker]\nkind = "simulator"\n', "5: broker.kind: expected a [simulator]"),
    ],
)
def test_venues_that_do_not_fit(tmp_path: Path, text: str, place: str) -> None:
    """Market data and orders that do not belong together are refused before anything starts."""
    (tmp_path / "key").write_text("k")
    (tmp_path / "key").chmod(0o600)
    assert any(problem.startswith(place) for problem in problems_of(write(tmp_path, text)))


@pytest.mark.parametrize(
    "text",
    [
        BINANCE,
        f"{BINANCE}{TESTNET}",
        '[engines.BTCUSDT]\n[feed]\nurl = "ws://127.0.0.1:9000"\n',
        f'{SIMULATED}[broker]\nkind = "simulator"\n',
        f'{BINANCE}[broker]\nkind = "binance"\nkey_file = "key"\n',
        f'{BINANCE}{TESTNET}[broker]\nkind = "binance"\nkey_file = "key"\n{ORDERS}',
    ],
)
def test_venues_that_fit(tmp_path: Path, text: str) -> None:
    """Real data with paper orders, a simulator elsewhere, one network for both: all fine."""
    (tmp_path / "key").write_text("k")
    (tmp_path / "key").chmod(0o600)
    load(write(tmp_path, text))


@pytest.mark.parametrize(("feed", "broker"), [(TESTNET, ""), ("", TESTNET)])
def test_prices_and_orders_of_one_network(tmp_path: Path, feed: str, broker: str) -> None:
    """A test key never meets the real market, nor a real key test prices."""
    (tmp_path / "key").write_text("k")
    (tmp_path / "key").chmod(0o600)
    text = f'{BINANCE}{feed}[broker]\nkind = "binance"\nkey_file = "key"\n{broker}'
    assert "expected prices and orders of the same exchange" in only_problem_of(
        write(tmp_path, text)
    )


@pytest.mark.parametrize(
    ("url", "name"),
    [
        (None, "production"),
        ("wss://stream.binance.com:9443", "production"),
        ("wss://stream.testnet.binance.vision", "testnet"),
        ("wss://demo-stream.binance.com", "demo"),
        ("ws://127.0.0.1:9000", "local"),
    ],
)
def test_environment(url: str | None, name: str) -> None:
    """The host tells which Binance it is."""
    assert environment(url) == name


@pytest.mark.parametrize(
    ("mode", "content", "came"),
    [
        (0o644, "k", "one of mode 0644 (chmod 600 repairs it)"),
        (0o640, "k", "one of mode 0640"),
        (0o600, "", "an empty one"),
        (None, "", "came none"),
    ],
)
@pytest.mark.parametrize(
    "text",
    [
        f'{BINANCE}[broker]\nkind = "binance"\nkey_file = "secret"\n',
        f'{SIMULATED}[http]\n\n\ntoken_file = "secret"\n',
    ],
)
def test_secret_files(tmp_path: Path, mode: int | None, content: str, came: str, text: str) -> None:
    """A key or token that others can read, or that is not there, is refused on its line."""
    if mode is not None:
        (tmp_path / "secret").write_text(content)
        (tmp_path / "secret").chmod(mode)
    problem = only_problem_of(write(tmp_path, text))
    assert came in problem
    assert problem.startswith("6: ")


def test_secret_file_may_not_be_a_folder(tmp_path: Path) -> None:
    """A folder holds no key."""
    text = f'{BINANCE}[broker]\nkind = "binance"\nkey_file = "."\n'
    assert "came a folder" in only_problem_of(write(tmp_path, text))


def test_key_file_of_a_paper_broker_is_not_looked_at(tmp_path: Path) -> None:
    """Switching to paper needs no key on this machine."""
    load(write(tmp_path, f'{SIMULATED}[broker]\nkey_file = "missing"\n'))


def test_socket(tmp_path: Path) -> None:
    """The socket's folder is ours and closed, or not there yet."""
    tmp_path.chmod(0o700)
    path = write(tmp_path, f'{SIMULATED}[control]\nsocket = "new/x.sock"\n')
    assert load(path).control.socket == tmp_path / "new/x.sock"
    (tmp_path / "new").mkdir()
    (tmp_path / "new").chmod(0o750)
    assert "closed to other users (mode 0700)" in only_problem_of(path)


def test_groups(tmp_path: Path) -> None:
    """A group has a section, which says who restarts together."""
    text = f'{SIMULATED}group = "majors"\n[groups.majors]\nrestart = "one_for_all"\n'
    config = load(write(tmp_path, text))
    assert config.engines["BTCUSDT"].group == "majors"
    assert config.groups["majors"].restart == "one_for_all"
    bad = write(tmp_path, f'{SIMULATED}group = "x"\n[groups.majors]\n')
    assert only_problem_of(bad) == (
        '3: engines.BTCUSDT.group: expected a group with a section [groups.x], came "x" '
        "(sections: majors)"
    )
