"""The strategies in examples/ do what their files say, alone and in a fleet."""

import importlib
import json
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from levitrio.strategies import Strategy
from levitrio.testing import bar, bars, fill, quote, run_strategy, trades
from levitrio.trading.market import MarketEvent
from levitrio.trading.orders import Fill
from tests.e2e.process import LEVI, FleetProcess, all_running
from tests.replay.files import quote_line, trade_line, write_lines

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"

Make = Callable[..., Strategy]


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Make]]:
    """Imports a strategy as fleet.toml names it."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    imported = []

    def load(name: str) -> Make:
        module, _, class_name = name.partition(":")
        imported.append(module)
        found: Make = getattr(importlib.import_module(module), class_name)
        return found

    yield load
    for module in imported:
        sys.modules.pop(module, None)


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    """The fleet.toml of a copy of the folder: nothing is written into the checkout."""
    folder = tmp_path / "examples"
    shutil.copytree(EXAMPLES, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder / "fleet.toml"


def levi(*words: str) -> "subprocess.CompletedProcess[str]":
    """The command as it is typed, from another folder than the strategies'."""
    return subprocess.run(
        [*LEVI, *words], cwd="/", capture_output=True, text=True, timeout=60, check=False
    )


def test_average_cross(example: Callable[[str], Make]) -> None:
    """A fall, then a rise: flat, then long; nothing before it has seen enough."""
    make = example("average_cross:AverageCross")
    closes = [100 - n for n in range(30)] + [71 + 2 * n for n in range(30)]
    outcome = run_strategy(make("BTCUSDT", fast=3, slow=10), bars(closes))
    assert (outcome.timed_signals[0].number, outcome.sides[0]) == (9, "flat")
    assert outcome.sides[-1] == "long"
    assert sum(a != b for a, b in zip(outcome.sides, outcome.sides[1:], strict=False)) == 1


def test_average_cross_ignores_fillers(example: Callable[[str], Make]) -> None:
    """A minute without trades has no price of its own."""
    make = example("average_cross:AverageCross")
    assert run_strategy(make("BTCUSDT"), [bar(1, trades=0)] * 60).timed_signals == ()


def test_mean_reversion(example: Callable[[str], Make]) -> None:
    """Buys far below the mean, sells at it, and knows from its fills what it holds."""
    make = example("mean_reversion:MeanReversion")
    usual = trades([100 + n % 2 for n in range(200)])
    events: list[MarketEvent | Fill] = [
        quote(99, 99.5),
        *usual,
        quote(100.4, 100.6, update_id=2),
        quote(97, 97.5, update_id=3),
        fill("buy", 97.5, position=1, average_entry=97.5),
        quote(97, 97.5, update_id=4),
        quote(101, 101.2, update_id=5),
        fill("sell", 101),
        quote(101, 101.2, update_id=6),
    ]
    outcome = run_strategy(make("ETHUSDT", half_life=50), events)
    assert outcome.sides == ["long", "flat"]
    assert outcome.signals[0].confidence == 1.0


def test_mean_reversion_goes_on_where_it_was(example: Callable[[str], Make]) -> None:
    """The next incarnation has the memory of the last: the same answer, without new trades."""
    make = example("mean_reversion:MeanReversion")
    usual = trades([100 + n % 2 for n in range(200)])
    kept = run_strategy(make("ETHUSDT", half_life=50), usual).state
    assert isinstance(kept, dict)
    assert kept["seen"] == 200
    low = [quote(97, 97.5)]
    assert run_strategy(make("ETHUSDT", half_life=50), low).sides == []
    assert run_strategy(make("ETHUSDT", half_life=50), low, state=kept).sides == ["long"]
    holding = {**kept, "holds": True}
    assert run_strategy(make("ETHUSDT", half_life=50), low, state=holding).sides == []


def test_trend_cycle(example: Callable[[str], Make]) -> None:
    """Answers in cycles of market time only: long in a rise, flat in a fall."""
    make = example("trend_cycle:TrendCycle")
    prices = [100 + n + n % 3 for n in range(100)] + [200 - n - n % 3 for n in range(100)]
    outcome = run_strategy(make("SOLUSDT", window=50), trades(prices), cycle_interval=5.0)
    assert outcome.cycles == 19
    assert outcome.sides[0] == "long"
    assert outcome.sides[-1] == "flat"
    assert len(outcome.sides) < outcome.cycles


def test_trend_cycle_without_movement(example: Callable[[str], Make]) -> None:
    """A line without errors has no t statistic: flat when level, long when it rises."""
    make = example("trend_cycle:TrendCycle")
    level = run_strategy(make("SOLUSDT", window=4), trades([5.0] * 9), cycle_interval=1.0)
    rising = run_strategy(make("SOLUSDT", window=4), trades(range(1, 10)), cycle_interval=1.0)
    assert set(level.sides) == {"flat"}
    assert set(rising.sides) == {"long"}


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("average_cross:AverageCross", {"fast": 9, "slow": 9}),
        ("mean_reversion:MeanReversion", {"half_life": 0}),
        ("mean_reversion:MeanReversion", {"band": 0.0}),
        ("trend_cycle:TrendCycle", {"window": 2}),
    ],
)
def test_senseless_parameters_are_refused(
    example: Callable[[str], Make], name: str, params: dict[str, float]
) -> None:
    """The error names the parameter."""
    (key,) = list(params)[:1]
    with pytest.raises(ValueError, match=f"^{key}: expected"):
        example(name)("BTCUSDT", **params)


def test_the_fleet_is_right() -> None:
    """`levi check` finds nothing, and each file in the folder has an engine."""
    checked = levi("check", str(EXAMPLES / "fleet.toml"))
    assert (checked.returncode, checked.stderr) == (0, "")
    engines = tomllib.loads((EXAMPLES / "fleet.toml").read_text())["engines"]
    named = {engine["strategy"].partition(":")[0] for engine in engines.values()}
    assert named == {path.stem for path in EXAMPLES.glob("*.py")}


def test_the_fleet_in_replay(fleet: Path, tmp_path: Path) -> None:
    """Each of the three opens and closes a position over an hour that falls and rises."""
    lines = []
    for second in range(3600):
        price = 100 + abs(second % 1200 - 600) / 50 + (second * 7919 % 13) / 100
        for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT"):
            at = second * 1000
            lines.append(
                quote_line(f"{price - 0.01:.2f}", f"{price + 0.01:.2f}", at=at, symbol=symbol)
            )
            lines.append(trade_line(f"{price:.2f}", at=at, number=second + 1, symbol=symbol))
    tape = write_lines(tmp_path / "tape.jsonl", lines)
    replayed = levi("replay", str(fleet), "--recording", str(tape), "--json")
    assert replayed.returncode == 0, replayed.stderr
    report = json.loads(replayed.stdout)
    sides = {(order["symbol"], order["side"]) for order in report["order_list"]}
    assert sides == {
        (symbol, side) for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT") for side in ("BUY", "SELL")
    }
    assert not report.get("incidents")


@pytest.mark.slow
def test_the_fleet_runs(fleet: Path, home: Path) -> None:
    """On the built-in exchange, without a network: every engine runs and is told trades."""
    with FleetProcess(home, fleet) as process:
        document = process.until(
            lambda found: all_running(found) and all(row["ticks"] for row in found["engines"])
        )
    assert {row["restarts"] for row in document["engines"]} == {0}
