"""From a file to a FleetConfig, and every problem in one pass."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from levitrio.config.loader import load
from levitrio.config.sections import (
    BrokerSection,
    ControlSection,
    EngineConfig,
    FeedSection,
    FleetSection,
    HealthSection,
    RecoverySection,
    RiskSection,
    Sections,
)
from levitrio.errors import ConfigError
from tests.config.files import SIMULATED, only_problem_of, problems_of, write


def test_smallest_fleet_has_every_default(tmp_path: Path) -> None:
    """Two empty tables are a fleet; everything else is what the classes say."""
    config = load(write(tmp_path, SIMULATED))
    assert config.engines == {"BTCUSDT": EngineConfig(symbol="BTCUSDT")}
    assert config.fleet.data_dir == tmp_path / "data"
    assert config.file == tmp_path / "fleet.toml"
    assert config.simulator is not None
    defaults = Sections(simulator=config.simulator, fleet=config.fleet)
    for field in attrs.fields(Sections):
        assert getattr(config, field.name) == getattr(defaults, field.name)


def test_values_arrive_exactly(tmp_path: Path) -> None:
    """Money as Decimal to the last digit, durations as seconds, integers where floats go."""
    text = (
        '[fleet]\nname = "x-1"\ngrace = "250ms"\n[broker]\ncash = 12345678901.123456789\n'
        'fee = 0\nlatency = -0.0\n[recovery]\nwindow = "2h"\nbackoff_factor = 3\n'
    )
    config = load(write(tmp_path, text + SIMULATED))
    assert config.fleet.grace == 0.25
    assert config.broker.cash == Decimal("12345678901.123456789")
    assert isinstance(config.broker.fee, Decimal)
    assert str(config.broker.latency) == "0.0"
    assert config.recovery.window == 7200.0
    assert isinstance(config.recovery.backoff_factor, float)


def test_paths_start_at_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative paths belong to the folder of the file, not to where the command was typed."""
    (tmp_path / "a.gz").touch()
    (tmp_path / "conf").mkdir()
    text = '[fleet]\ndata_dir = "../data"\n[simulator]\nrecording = ["../a.gz"]\n'
    write(tmp_path / "conf", text + "[engines.BTCUSDT]\n")
    monkeypatch.chdir(tmp_path / "conf")
    config = load(Path("fleet.toml"))
    assert config.fleet.data_dir == tmp_path / "conf" / "../data"
    assert config.simulator is not None
    assert config.simulator.recording == (tmp_path / "conf" / "../a.gz",)
    assert config.file.is_absolute()


def test_home_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`~/` is the home directory."""
    monkeypatch.setenv("HOME", str(tmp_path))
    config = load(write(tmp_path, '[fleet]\ndata_dir = "~/levi"\n' + SIMULATED))
    assert config.fleet.data_dir == tmp_path / "levi"


def test_all_problems_in_one_pass(tmp_path: Path) -> None:
    """Types, unknown keys, limits, rules between keys and strategies come together, by line."""
    text = """\
[fleet]
nmae = "x"
grace = "5"
[feed]
kind = "simulatr"
streams = ["trade", "bogus", 3]
[broker]
api_secret = "hunter2"
fee = nan
max_restarts = 3
[recovery]
backoff_base = 70
[defaults]
cycle_interval = 30
params = { fats = 5, when = 1979-05-27 }
[engine.X]
[engines.btcusdt]
after = ["ETHUSDT"]
[engines."BTC/USDT"]
[engines.ETHUSDT]
after = ["BTCUSDT", "SLUSDT"]
[engines.ETHBTC]
[engines.SOLUSDT]
"""

    def check_strategy(name: str, params: Mapping[str, object]) -> str | None:
        return "ema_cross has no parameter 'fats'" if "fats" in params else None

    problems = problems_of(write(tmp_path, text), check_strategy)
    assert [problem.split(": ")[:2] for problem in problems] == [
        ["2", "fleet.nmae"],
        ["3", "fleet.grace"],
        ["5", "feed.kind"],
        ["6", "feed.streams[1]"],
        ["6", "feed.streams[2]"],
        ["8", "broker.api_secret"],
        ["9", "broker.fee"],
        ["10", "broker.max_restarts"],
        ["12", "recovery.backoff_base"],
        ["14", "defaults.cycle_interval"],
        ["15", "defaults.params.fats"],
        ["15", "defaults.params.when"],
        ["16", "engine"],
        ["18", "engines.btcusdt.after"],
        ["19", 'engines."BTC/USDT"'],
        ["21", "engines.ETHUSDT.after"],
        ["22", "engines.ETHBTC"],
    ]
    assert "hunter2" not in "\n".join(problems)
    assert all("expected" in problem or "no parameter" in problem for problem in problems)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("[engines.BTCUSDT]\ncycle_intervall = 1\n", "did you mean cycle_interval?"),
        ("[engines.BTCUSDT]\nsymbl = 'x'\n", "known: strategy, params"),
        ("[engines.BTCUSDT]\nmax_restarts = 1\n", "max_restarts belongs to [recovery]"),
        ("[broker]\ninbox = 1\n", "inbox belongs to [defaults], [engines.X]"),
        ("[recover]\n", "did you mean recovery?"),
        ("max_drawdown = 1\n", "max_drawdown belongs to [risk]"),
        ('[risk]\n"\\u001b[2J" = 1\n', '"\\u001b[2J"'),
    ],
)
def test_unknown_keys_come_with_a_suggestion(tmp_path: Path, text: str, hint: str) -> None:
    """A slip is answered with the nearest key, or with the section it belongs to."""
    rest = "[simulator]\n" + ("" if "engines" in text else "[engines.BTCUSDT]\n")
    problem = only_problem_of(write(tmp_path, text + rest))
    assert hint in problem
    assert problem.isprintable()


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ("fleet", "name = 3"),
        ("fleet", 'name = "Ä"'),
        ("fleet", 'name = "../x"'),
        ("fleet", 'name = "-x"'),
        ("fleet", 'name = "x\\n"'),
        ("fleet", f'name = "{"x" * 33}"'),
        ("fleet", 'quote = "usdt"'),
        ("fleet", "grace = -1"),
        ("fleet", "grace = 1e12"),
        ("fleet", "grace = inf"),
        ("fleet", 'grace = "10"'),
        ("fleet", 'data_dir = ""'),
        ("fleet", 'data_dir = "/"'),
        ("fleet", 'data_dir = "/usr/.."'),
        ("fleet", 'data_dir = "$HOME/x"'),
        ("fleet", 'data_dir = "~other/x"'),
        ("fleet", 'data_dir = "a\\u0000b"'),
        ("fleet", 'data_dir = "fleet.toml"'),
        ("fleet", 'data_dir = "fleet.toml/x"'),
        ("fleet", 'on_give_up = "exitt"'),
        ("simulator", "seed = 1.0"),
        ("simulator", "seed = -1"),
        ("simulator", "speed = 0"),
        ("simulator", "speed = true"),
        ("simulator", 'speed = "1"'),
        ("simulator", "recording = 'x.gz'"),
        ("simulator", "recording = ['missing.gz']"),
        ("simulator", "recording = ['.']"),
        ("simulator", "port = 70000"),
        ("simulator", "faults = { gap = 1 }"),
        ("feed", "streams = []"),
        ("feed", 'streams = "trade"'),
        ("feed", 'streams = ["trade", "trade"]'),
        ("feed", 'reader = "magic"'),
        ("feed", "symbols_per_connection = 342"),
        ("feed", "stale_after = 0"),
        ("broker", "cash = 0"),
        ("broker", "cash = 1e400"),
        ("broker", "cash = 1e99999999999999999999"),
        ("broker", "cash = nan"),
        ("broker", "fee = 10"),
        ("broker", "latency = 1979-05-27"),
        ("broker", 'url = "wss://user:pw@x.example"'),
        ("broker", 'url = "ws://x.example"'),
        ("broker", 'url = "https://x.example"'),
        ("broker", 'url = "wss://x.example:99999"'),
        ("broker", 'url = "wss://[x"'),
        ("risk", "max_daily_loss = -0.03"),
        ("risk", "max_daily_loss = 3"),
        ("risk", "max_open_positions = 1.0"),
        ("risk", "max_open_positions = true"),
        ("risk", f"max_open_positions = {'9' * 80}"),
        ("risk", "max_gross_exposure = 0.1"),
        ("risk", 'on_loss = ["reduce"]'),
        ("risk", "cooldown = 1e-400000000000000000000"),
        ("recovery", "backoff_max = 0.5"),
        ("recovery", "jitter = 1.5"),
        ("recovery", "window = 0"),
        ("health", "heartbeat_timeout = 2"),
        ("health", "blocked_after = 1e-12"),
        ("control", f'socket = "/{"x" * 100}"'),
        ("control", 'socket = "/usr/x.sock"'),
        ("http", 'bind = "0.0.0.0:8787"'),
        ("http", 'bind = "[::]:8787"'),
        ("http", 'bind = "example.org:8787"'),
        ("http", 'bind = "127.0.0.1:0"'),
        ("http", 'bind = "127.0.0.1:80"'),
        ("http", 'bind = "127.0.0.1:70000"'),
        ("http", "bind = 8787"),
        ("http", 'token_file = "missing"'),
        ("http", 'token = "x"'),
        ("alerts", 'urls = ["no address"]'),
        ("alerts", 'on = ["everything"]'),
        ("models", "workers = 0"),
        ("groups.a", 'restart = "all"'),
        ("defaults", "cycle_interval = 0"),
        ("defaults", 'cycle_interval = "1e-12s"'),
        ("defaults", "inbox = 0"),
        ("defaults", "signals_only = 1"),
        ("defaults", 'strategy = "../x.py"'),
        ("defaults", 'strategy = "x:"'),
        ("defaults", 'strategy = "a-b:C"'),
        ("defaults", "params = 3"),
        ("defaults", "params = { x = nan }"),
        ("defaults", "params = { x = 1e400 }"),
        ("defaults", "params = { x = 9223372036854775808 }"),
        ("defaults", "params = { x = [[[[[[[[[1]]]]]]]]] }"),
        ("defaults", "params = { x = 07:32:00 }"),
        ("defaults", 'params = { api_key = "k" }'),
        ("defaults", 'after = "BTCUSDT"'),
        ("defaults", 'after = ["../x"]'),
        ("defaults", 'after = ["ETHUSDT"]'),
        ("defaults", 'group = "b"'),
    ],
)
def test_one_bad_value_is_one_problem(tmp_path: Path, section: str, line: str) -> None:
    """A value out of type or bounds is refused on its line, by its key, and blames nothing else."""
    simulator = "" if section == "simulator" else "[simulator]\n"
    path = write(tmp_path, f"{simulator}[engines.BTCUSDT]\n[{section}]\n{line}\n")
    problem = only_problem_of(path)
    number = 4 if simulator else 3
    key = line.split(" ")[0]
    if (section, key) in {("recovery", "backoff_max"), ("risk", "max_gross_exposure")}:
        number = 3  # the other key of the pair is not written: the section is to blame
    assert problem.startswith(f"{number}: {section}."), problem
    assert "expected" in problem
    assert problem.isprintable()


@pytest.mark.parametrize(
    "text",
    [
        "fleet = 3\n[simulator]\n[engines.BTCUSDT]",
        "[[fleet]]\n[simulator]\n[engines.BTCUSDT]",
        "simulator = true\n[engines.BTCUSDT]",
        "engines = 3\n[simulator]",
        "engines = ['BTCUSDT']\n[simulator]",
        "engines.BTCUSDT = 3\n[simulator]",
        "engines.BTCUSDT = []\n[simulator]",
        "defaults = 1979-05-27\n[simulator]\n[engines.BTCUSDT]",
    ],
)
def test_wrong_shapes(tmp_path: Path, text: str) -> None:
    """A table that is none is one problem, whatever came instead."""
    assert "1: " in only_problem_of(write(tmp_path, text))


def test_secrets_are_refused_and_never_shown(tmp_path: Path) -> None:
    """A secret in the file is refused by its name, wherever it stands, and not quoted back."""
    text = (
        '[broker]\nsecret = "s1"\napiKey = "s2"\nkey_file = "k"\n[http]\nauth_token = "s3"\n'
        '[alerts]\nurls = ["tgram:/s4"]\n[defaults.params]\nmodel = [{ password = "s5" }]\n'
    )
    found = "\n".join(problems_of(write(tmp_path, text + SIMULATED)))
    assert [line.split(": ")[1] for line in found.splitlines()] == [
        "broker.secret",
        "broker.apiKey",
        "http.auth_token",
        "alerts.urls[0]",
        "defaults.params.model[0].password",
    ]
    assert not any(f"s{n}" in found.replace("secret", "") for n in range(1, 6))


def test_alert_addresses_stay_out_of_the_repr(tmp_path: Path) -> None:
    """An alert's address holds a token, which a logged configuration does not show."""
    config = load(write(tmp_path, '[alerts]\nurls = ["tgram://123:canary"]\n' + SIMULATED))
    assert config.alerts is not None
    assert config.alerts.urls == ("tgram://123:canary",)
    assert "canary" not in repr(config)


plain = st.recursive(
    st.one_of(
        st.integers(-5, 5).map(str),
        st.sampled_from(["0.5", "nan", "true", '"x"', '"1s"', "1979-05-27", '"ethusdt"']),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2).map(lambda items: f"[{', '.join(items)}]"),
        inner.map(lambda item: "{ x = " + item + " }"),
    ),
    max_leaves=3,
)
SECTIONS = (
    FleetSection,
    FeedSection,
    BrokerSection,
    RiskSection,
    RecoverySection,
    HealthSection,
    ControlSection,
)
KEYS = [f"{cls.__name__.lower()}.{key.name}" for cls in SECTIONS for key in attrs.fields(cls)]


@given(st.dictionaries(st.sampled_from([*KEYS, "engines.BTCUSDT.after", "simulator.seed"]), plain))
def test_nothing_but_a_config_or_problems(
    tmp_path_factory: pytest.TempPathFactory, lines: dict[str, str]
) -> None:
    """Whatever stands behind the keys: a config comes out, or problems with lines of the file."""
    text = "\n".join(f"{key} = {value}" for key, value in lines.items()) + "\n"
    path = write(tmp_path_factory.getbasetemp(), text + "[engines.ETHUSDT]\n")
    try:
        load(path)
    except ConfigError as error:
        for problem in error.problems:
            number = int(problem.removeprefix(str(path)).split(":")[1])
            assert 1 <= number <= text.count("\n") + 1
