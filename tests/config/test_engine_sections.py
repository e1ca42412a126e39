"""Engines: names, defaults under them, what they wait for, their strategies."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from levitrio.config.loader import load
from levitrio.config.sections import MAX_ENGINES
from tests.config.files import only_problem_of, problems_of, write


def fleet(text: str) -> str:
    """A file with a simulator in front."""
    return f"[simulator]\n{text}"


@pytest.mark.parametrize("name", ["BTCUSDT", "btcusdt", "BTC-USDT", '"BTC/USDT"', '"btc/usdt"'])
def test_symbols_are_normalised(tmp_path: Path, name: str) -> None:
    """Every spelling is BTCUSDT from here on."""
    config = load(write(tmp_path, fleet(f"[engines.{name}]\n")))
    assert [(key, engine.symbol) for key, engine in config.engines.items()] == [
        ("BTCUSDT", "BTCUSDT")
    ]


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "",
        "..",
        "A B",
        "\\u0000USDT",
        "USDT\\u202e",
        "BTC\\u0130USDT",
        "x" * 300,
    ],
)
def test_bad_symbols(tmp_path: Path, name: str) -> None:
    """What could not be a symbol, or a file name, is refused and shown escaped."""
    problem = only_problem_of(write(tmp_path, fleet(f'[engines."{name}"]\n')))
    assert "expected a symbol such as BTCUSDT or BTC/USDT" in problem
    assert problem.isprintable()
    assert problem.isascii()


def test_symbol_twice_names_both_lines(tmp_path: Path) -> None:
    """Two spellings of one symbol are one engine too many."""
    text = fleet('[engines.btcusdt]\n[engines.ETHUSDT]\n[engines."BTC/USDT"]\n')
    assert only_problem_of(write(tmp_path, text)) == (
        '4: engines."BTC/USDT": expected each symbol once, came BTCUSDT again: '
        'as "btcusdt" on line 2'
    )


@pytest.mark.parametrize("symbol", ["ETHBTC", "USDT", "USDTBTC"])
def test_foreign_quote(tmp_path: Path, symbol: str) -> None:
    """An engine against another asset cannot be counted in the fleet's money."""
    problem = only_problem_of(write(tmp_path, fleet(f"[engines.{symbol}]\n")))
    assert f"expected a symbol against USDT ([fleet] quote), came {symbol}" in problem


@pytest.mark.parametrize(("count", "fine"), [(MAX_ENGINES, True), (MAX_ENGINES + 1, False)])
def test_number_of_engines(tmp_path: Path, count: int, fine: bool) -> None:
    """10,000 engines are a fleet, one more is not."""
    path = write(tmp_path, fleet("".join(f"[engines.A{i}USDT]\n" for i in range(count))))
    if fine:
        assert len(load(path).engines) == count
    else:
        assert only_problem_of(path) == "2: engines: expected at most 10000, came 10001"


def test_defaults_lie_under_each_engine(tmp_path: Path) -> None:
    """An engine's own keys go first, its params key by key."""
    text = fleet(
        '[defaults]\nstrategy = "breakout"\ninbox = 9\nparams = { a = 1, b = 2 }\n'
        "[engines.BTCUSDT]\ninbox = 7\n[engines.BTCUSDT.params]\nb = 3\nc = 0.5\n"
        "[engines.ETHUSDT]\n"
    )
    engines = load(write(tmp_path, text)).engines
    btc, eth = engines["BTCUSDT"], engines["ETHUSDT"]
    assert (btc.strategy, btc.inbox, btc.params) == ("breakout", 7, {"a": 1, "b": 3, "c": 0.5})
    assert (eth.strategy, eth.inbox, eth.params) == ("breakout", 9, {"a": 1, "b": 2})
    assert isinstance(btc.params["c"], float)


def test_params_of_another_strategy_stay_away(tmp_path: Path) -> None:
    """Params beside a strategy in the defaults are for that strategy only."""
    text = fleet(
        '[defaults]\nstrategy = "ema_cross"\nparams = { fast = 3 }\n'
        '[engines.BTCUSDT]\nstrategy = "mine:Mine"\n'
        '[engines.ETHUSDT]\nstrategy = "ema_cross"\n'
    )
    engines = load(write(tmp_path, text)).engines
    assert engines["BTCUSDT"].params == {}
    assert engines["ETHUSDT"].params == {"fast": 3}


def test_params_without_a_default_strategy_are_for_all(tmp_path: Path) -> None:
    """Params that stand in the defaults without a strategy reach every engine."""
    text = fleet('[defaults.params]\nx = 1\n[engines.BTCUSDT]\nstrategy = "mine:Mine"\n')
    assert load(write(tmp_path, text)).engines["BTCUSDT"].params == {"x": 1}


def test_after(tmp_path: Path) -> None:
    """`after` names engines in any spelling; from the defaults it is meant for the others."""
    text = fleet(
        '[defaults]\nafter = ["btc/usdt"]\n[engines.BTCUSDT]\n[engines.ETHUSDT]\n'
        '[engines.SOLUSDT]\nafter = ["ETHUSDT", "BTCUSDT"]\n'
    )
    engines = load(write(tmp_path, text)).engines
    assert [engine.after for engine in engines.values()] == [
        (),
        ("BTCUSDT",),
        ("ETHUSDT", "BTCUSDT"),
    ]


@pytest.mark.parametrize(
    ("text", "circle"),
    [
        ('[engines.BTCUSDT]\nafter = ["BTCUSDT"]\n', "BTCUSDT after BTCUSDT"),
        (
            'engines = {AUSDT.after=["BUSDT"], BUSDT.after=["CUSDT"], CUSDT.after=["AUSDT"]}\n',
            "AUSDT after BUSDT after CUSDT after AUSDT",
        ),
    ],
)
def test_circles_are_named(tmp_path: Path, text: str, circle: str) -> None:
    """Engines that wait for each other would never start."""
    problem = only_problem_of(write(tmp_path, f"{text}[simulator]\n"))
    came = problem.split("came a circle: ")[1].split(" after ")
    wanted = circle.split(" after ")
    assert any([*came[i:-1], *came[:i]] == wanted[:-1] for i in range(len(came) - 1))


def test_unknown_in_after_has_a_suggestion(tmp_path: Path) -> None:
    """An engine that is not in the fleet cannot be waited for; said once for the defaults."""
    text = fleet('[defaults]\nafter = ["BTCUSD"]\n[engines.BTCUSDT]\n[engines.ETHUSDT]\n')
    assert only_problem_of(write(tmp_path, text)) == (
        '3: defaults.after: expected engines of this fleet, came "BTCUSD" (did you mean BTCUSDT?)'
    )


def test_heartbeat_wants_three_cycles(tmp_path: Path) -> None:
    """Each place that sets a cycle too long is named, once."""
    text = fleet(
        "[health]\nheartbeat_timeout = 6\n[defaults]\ncycle_interval = 3\n"
        "[engines.BTCUSDT]\n[engines.ETHUSDT]\n[engines.SOLUSDT]\ncycle_interval = 2\n"
        '[engines.XRPUSDT]\ncycle_interval = "2100ms"\n'
    )
    problems = problems_of(write(tmp_path, text))
    assert [problem.split(": ")[:2] for problem in problems] == [
        ["5", "defaults.cycle_interval"],
        ["11", "engines.XRPUSDT.cycle_interval"],
    ]


def test_strategies_are_asked_once_each(tmp_path: Path) -> None:
    """Fifteen engines with the same strategy and params are one question."""
    asked: list[tuple[str, Mapping[str, object]]] = []

    def check_strategy(name: str, params: Mapping[str, object]) -> str | None:
        asked.append((name, params))
        return None

    text = fleet(
        "[defaults.params]\nfast = 3\n[engines.BTCUSDT]\n[engines.ETHUSDT]\n"
        '[engines.SOLUSDT]\nparams.fast = 4\n[engines.XRPUSDT]\nstrategy = "breakout"\n'
    )
    load(write(tmp_path, text), check_strategy=check_strategy)
    assert asked == [
        ("ema_cross", {"fast": 3}),
        ("ema_cross", {"fast": 4}),
        ("breakout", {"fast": 3}),
    ]


@pytest.mark.parametrize(
    ("trouble", "place"),
    [
        ("no parameter 'fst'", "4: defaults.params.fst"),
        ("no parameter 'own'", "7: engines.BTCUSDT.params.own"),
        ("no such\nmodule \x1b[2J", "6: engines.BTCUSDT.strategy"),
    ],
)
def test_trouble_with_a_strategy_has_a_line(tmp_path: Path, trouble: str, place: str) -> None:
    """It is blamed on the param it quotes, else on the name of the strategy."""
    text = fleet(
        '[defaults]\ninbox = 5\nparams.fst = 3\n[engines.BTCUSDT]\nstrategy = "a.b:C"\n'
        "params.own = 1\n"
    )
    problem = only_problem_of(write(tmp_path, text), lambda name, params: trouble)
    assert problem.startswith(f"{place}: no ")
    assert problem.isprintable()
