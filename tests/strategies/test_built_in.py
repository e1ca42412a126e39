"""The built-in rules, and the names fleet.toml may use."""

import sys
from pathlib import Path
from typing import Any

import pytest

from levitrio.errors import UsageError
from levitrio.strategies import Signal, Strategy
from levitrio.strategies.breakout import Breakout
from levitrio.strategies.catalog import BUILT_IN, check, parameters, resolve
from levitrio.strategies.ema_cross import EmaCross
from levitrio.trading.market import Bar, Trade


def feed(strategy: Any, prices: list[float], *, start: int = 1) -> list[str | None]:
    """Each price as a trade; the side that was signalled, or None."""
    sides = []
    for i, price in enumerate(prices, start=start):
        signal = strategy.on_trade(Trade.of("BTCUSDT", price, time=i, trade_id=i))
        sides.append(None if signal is None else signal.side)
    return sides


def test_ema_cross_speaks_when_the_averages_cross() -> None:
    """Silent until the slow average is warm, then one signal per crossing."""
    sides = feed(EmaCross("BTCUSDT", fast=2, slow=4), [10, 10, 11, 12, 13, 9, 8, 7, 12, 14])
    assert sides[:3] == [None, None, None]
    assert [side for side in sides if side] == ["long", "flat", "long"]


def test_ema_by_hand() -> None:
    """EMA_t = EMA + (price - EMA) * 2 / (n + 1), from the first price on."""
    strategy = EmaCross("BTCUSDT", fast=1, slow=3)
    feed(strategy, [10.0, 20.0])
    assert strategy.state() == {"fast": 20.0, "slow": 15.0, "seen": 2}


def test_breakout_needs_a_full_channel() -> None:
    """Above the highest of the last three: long; below the lowest: flat; the same side once."""
    sides = feed(Breakout("BTCUSDT", lookback=3), [1, 2, 3, 4, 5, 3, 2])
    assert sides == [None, None, None, "long", None, None, "flat"]


@pytest.mark.parametrize("kind", [EmaCross, Breakout])
def test_restored_strategies_go_on(kind: type[EmaCross] | type[Breakout]) -> None:
    """With its state back a strategy judges the next price as the one before it would have."""
    prices = [10.0, 11.0, 12.0, 11.0, 10.0, 9.0] * 6
    first, second = kind("BTCUSDT"), kind("BTCUSDT")
    feed(first, prices)
    second.restore(first.state())  # type: ignore[arg-type]
    assert first.state() == second.state()
    feed(first, [30.0], start=100)
    feed(second, [30.0], start=100)
    assert first.state() == second.state()


def test_bar_source_listens_to_bars_only() -> None:
    """With source = "bar" trades are ignored and closes are used."""
    strategy = Breakout("BTCUSDT", lookback=2, source="bar")
    assert feed(strategy, [1, 2, 3]) == [None, None, None]
    answers = [
        strategy.on_bar(Bar.of("BTCUSDT", close, open_time=i * 60_000))
        for i, close in enumerate((1, 2, 3), start=1)
    ]
    assert answers == [None, None, Signal(side="long")]


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_names_resolve(name: str) -> None:
    """Each short name is a Strategy whose defaults are accepted."""
    assert issubclass(resolve(name), Strategy)
    assert check(name, {}) is None
    assert parameters(resolve(name))


@pytest.mark.parametrize(
    ("name", "params", "words"),
    [
        ("ema_croos", {}, "did you mean 'ema_cross'"),
        ("os:system", {}, "expected a class derived from"),
        ("os:nothing", {}, "expected a class 'nothing' in module 'os'"),
        ("no_such_module_here:Mine", {}, "no module 'no_such_module_here'"),
        ("../x:Mine", {}, "expected one of"),
        ("ema_cross", {"fsat": 3}, "did you mean 'fast'"),
        ("ema_cross", {"fast": 30}, "expected less than slow"),
        ("ema_cross", {"fast": "3"}, "expected a whole number"),
        ("ema_cross", {"fast": True}, "expected a whole number"),
        ("breakout", {"lookback": 1}, "at least 2"),
        ("breakout", {"source": "quote"}, "expected 'trade' or 'bar'"),
        ("levitrio.strategies.base:Strategy", {"a": 1}, "has no parameter 'a'"),
    ],
)
def test_what_is_wrong_is_said(name: str, params: dict[str, object], words: str) -> None:
    """Each mistake gives one line that says what was expected."""
    problem = check(name, params)
    assert problem is not None
    assert words in problem
    assert "\n" not in problem


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("import sys; sys.exit(3)", "SystemExit"),
        ("raise RuntimeError('at import')", "RuntimeError: at import"),
        ("import not_there_at_all", "ModuleNotFoundError"),
        ("def f(:", "SyntaxError"),
    ],
)
def test_a_module_that_fails_at_import(
    body: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever importing a user's module does, the error is one line and the program goes on."""
    (tmp_path / "mine_broken.py").write_text(body)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UsageError, match=words):
        resolve("mine_broken:Mine")
    sys.modules.pop("mine_broken", None)


def test_own_parameters_are_checked_by_signature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A strategy of one's own is not built by a check, but its parameters are known."""
    (tmp_path / "mine_checked.py").write_text(
        "from levitrio.strategies import Strategy\n"
        "class Mine(Strategy):\n"
        "    def __init__(self, symbol, *, size, speed=1): raise RuntimeError\n"
        "class Any(Strategy):\n"
        "    def __init__(self, symbol, **params): raise RuntimeError\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert check("mine_checked:Mine", {"size": 1}) is None
    assert "needs the parameter 'size'" in (check("mine_checked:Mine", {}) or "")
    assert "did you mean 'size'" in (check("mine_checked:Mine", {"siez": 1}) or "")
    assert check("mine_checked:Any", {"whatever": 1}) is None


def test_a_signal_checks_itself() -> None:
    """A probability or side that cannot be is refused where it is made."""
    with pytest.raises(ValueError, match="prob_up: expected a number from 0 to 1"):
        Signal(side="long", prob_up=1.5)
    with pytest.raises(ValueError, match="confidence"):
        Signal(side="long", confidence=float("nan"))
    with pytest.raises(ValueError, match="side"):
        Signal(side="up")  # type: ignore[arg-type]


def test_the_base_takes_no_parameters() -> None:
    """Unknown parameters are an error."""
    with pytest.raises(TypeError, match="takes no parameter size"):
        Strategy("BTCUSDT", size=1)
