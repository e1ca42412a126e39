"""The ensemble as an engine sees it."""

import inspect
from collections.abc import Sequence
from typing import Any

import attrs
import pytest
import trio

from levitrio.inference.ensemble.strategy import Ensemble
from levitrio.inference.interface import Answers, Missing, ModelCall
from levitrio.inference.models.feature_schema import CANDLES
from levitrio.inference.models.model_file import ModelFile
from levitrio.strategies import catalog
from levitrio.strategies.base import Signal, Strategy
from levitrio.strategies.state import plain_state
from levitrio.trading.market import Bar, Trade
from tests.inference.model_files import MINUTE, model_file, needs_ml, pretended_onnx

MODEL = pretended_onnx()
FILE = model_file(MODEL)
MODEL_MEMBER = {"model": "m.onnx", "sha256": FILE.key}
RULE = {"rule": "breakout", "params": {"lookback": 2, "source": "bar"}, "vote": 0.9}


def hook(symbol: str) -> float | None:
    """Named as a hook below."""
    return 0.9 if symbol == "BTCUSDT" else None


HOOK = {"hook": f"{__name__}:hook"}


@attrs.define(eq=False)
class FakeModels:
    """A fleet's models, answering what a test says."""

    answer: float | Missing = 0.9
    score: float | Missing = 0.8
    asked: list[ModelCall] = attrs.field(factory=list)
    notes: list[tuple[str, str]] = attrs.field(factory=list)

    def file(self, key: str) -> ModelFile | None:
        return FILE if key == FILE.key else None

    async def ask(self, calls: Sequence[ModelCall]) -> Answers:
        self.asked += calls
        return (self.answer,) * len(calls)

    def external(self, path: str, symbol: str, max_age: float) -> float | Missing:
        return self.score

    def note(self, kind: str, text: str) -> None:
        self.notes.append((kind, text))


def make(*members: dict[str, Any], models: FakeModels | None = None, **params: Any) -> Ensemble:
    strategy = Ensemble("BTCUSDT", members=members, **params)
    strategy.models = models or FakeModels()
    strategy.on_trade(Trade.of("BTCUSDT", 100, time=1, trade_id=1))
    return strategy


def feed(strategy: Strategy, bars: Sequence[Bar]) -> list[Signal | None]:
    """The answers to some bars."""

    async def main() -> list[Signal | None]:
        found = []
        for bar in bars:
            reply: Any = strategy.on_bar(bar)
            found.append(await reply if inspect.isawaitable(reply) else reply)
        return found

    return trio.run(main)


def bars(count: int, *, start: int = 0, price: float = 100.0, step: float = 1.0) -> list[Bar]:
    return [
        Bar.of("BTCUSDT", price + step * n, open_time=(start + n) * MINUTE, volume=n + 1)
        for n in range(count)
    ]


def test_a_rule_alone_is_an_ensemble() -> None:
    """Its last word stands for the probability `vote`."""
    found = feed(make(RULE), bars(4))
    assert found[:2] == [None, None]
    assert found[3] is not None
    assert (found[3].side, found[3].prob_up, found[3].confidence) == ("long", 0.9, 1.0)


def test_members_are_weighed() -> None:
    """Rule, hook and outside score in one mean."""
    strategy = make(RULE, {**HOOK, "weight": 2.0}, {"score": "s.json"})
    last = feed(strategy, bars(4))[-1]
    assert last is not None
    assert last.prob_up == pytest.approx((0.9 + 2 * 0.9 + 0.8) / 4)


def test_the_signal_is_a_target_and_said_again_at_each_bar() -> None:
    """What was denied, or void because it was warm-up, is asked for again."""
    found = feed(make(HOOK), bars(3))
    assert [each.side for each in found if each] == ["long"] * 3


@needs_ml
def test_a_model_is_asked_with_the_features_of_its_schema() -> None:
    """Once warm, at each bar, with a number for each name."""
    models = FakeModels()
    found = feed(make(MODEL_MEMBER, models=models), bars(40))
    assert found[32] is None
    assert [each.prob_up for each in found[33:] if each] == [0.9] * 7
    assert {len(vector) for _, vector in models.asked} == {len(CANDLES.names)}


@needs_ml
def test_a_missing_member_is_reported_once_and_when_it_is_back() -> None:
    """Its weight goes to the others meanwhile."""
    models = FakeModels()
    strategy = make(MODEL_MEMBER, HOOK, models=models)
    feed(strategy, bars(36))
    models.answer = Missing(code="late", reason="no answer within the deadline", is_error=True)
    late = feed(strategy, bars(2, start=36))
    models.answer = 0.7
    back = feed(strategy, bars(1, start=38))[0]
    assert late[0] is not None
    assert back is not None
    assert (late[0].prob_up, late[0].confidence) == (0.9, 0.5)
    assert back.prob_up == pytest.approx(0.8)
    assert [kind for kind, _ in models.notes] == [
        "member_missing",
        "member_back",
        "member_missing",
        "member_back",
    ]
    assert "no answer within the deadline" in models.notes[2][1]


def test_all_missing_is_no_signal() -> None:
    """Silence, never a flat and never a 0.5."""
    models = FakeModels(score=Missing(code="no_file", reason="not there"))
    assert feed(make({"score": "s.json"}, models=models), bars(3)) == [None] * 3


def test_without_a_fleet_models_are_missing() -> None:
    """As in a test of one's own; the rules speak."""
    strategy = make(MODEL_MEMBER, HOOK)
    strategy.models = None
    last = feed(strategy, bars(1))[0]
    assert last is not None
    assert last.confidence == 0.5


def test_fillers_and_other_intervals_decide_nothing() -> None:
    """A quiet minute has no price of its own."""
    strategy = make(HOOK)
    filler = Bar.of("BTCUSDT", 100, open_time=0, trades=0)
    other = Bar.of("BTCUSDT", 100, open_time=0, interval="5m")
    assert feed(strategy, [filler, other]) == [None, None]


@needs_ml
def test_state_spares_a_second_warm_up() -> None:
    """The next incarnation goes on with the same numbers."""
    models = FakeModels()
    first = make(MODEL_MEMBER, RULE, models=models)
    feed(first, bars(60))
    second = make(MODEL_MEMBER, RULE, models=(again := FakeModels()))
    second.restore(plain_state(first.state()))
    models.asked.clear()
    a = feed(first, bars(1, start=60))
    b = feed(second, bars(1, start=60))
    assert a == b
    assert again.asked == models.asked


def test_the_state_of_other_members_is_left_alone() -> None:
    """fleet.toml may have changed since."""
    old = make({"rule": "ema_cross"})
    feed(old, bars(3))
    new = make(RULE)
    new.restore(plain_state(old.state()))
    new.restore({})
    assert feed(new, bars(4))[-1] is not None


class Talker(Strategy):
    """A rule that does not answer as a member must."""

    async def on_bar(self, bar: Bar) -> Signal | None:
        return None


def test_a_rule_that_answers_nonsense_is_a_crash() -> None:
    """With the name of what said it."""
    with pytest.raises(TypeError, match=r"Talker\.on_bar"):
        feed(make({"rule": f"{__name__}:Talker"}), bars(1))


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"members": []}, "expected a list of tables"),
        ({"members": [{"rule": "ema_cross", "model": "simulator"}]}, "exactly one of"),
        ({"members": [{"weight": 1.0}]}, "exactly one of"),
        ({"members": [{"rule": "ema_crss"}]}, "did you mean 'ema_cross'"),
        ({"members": [{"rule": "ema_cross", "params": {"fast": 99}}]}, "less than slow"),
        ({"members": [{"rule": "ema_cross", "wieght": 1.0}]}, "no key 'wieght'"),
        ({"members": [{"rule": "ema_cross", "weight": 0}]}, "weight: expected a number above 0"),
        ({"members": [{"rule": "ema_cross", "weight": True}]}, "weight"),
        ({"members": [{"rule": "ema_cross", "vote": 0.5}]}, "vote"),
        ({"members": [{"model": "m.pkl", "sha256": "0" * 64}]}, "can run code"),
        ({"members": [{"model": "m.onnx"}]}, "its sha256"),
        ({"members": [{"model": "m.onnx", "sha256": 7}]}, "sha256: expected text"),
        ({"members": [{"model": "oracle"}]}, "one of simulator"),
        ({"members": [{"score": "s.json", "max_age": -1}]}, "max_age"),
        ({"members": [{"hook": "nowhere"}]}, "package.module:function"),
        ({"members": [{"hook": "nowhere_at_all:hook"}]}, "importing 'nowhere_at_all' failed"),
        ({"members": [{"hook": "math:pi"}]}, "plain function"),
        ({"members": [7]}, "expected a table"),
        ({"members": [{"rule": ""}]}, "rule: expected text"),
        ({"interval": "7m"}, "'interval'"),
        ({"long_above": 1.5}, "'long_above'"),
        ({"long_above": 0.4}, "'short_below'"),
    ],
)
def test_bad_parameters_are_found_before_anything_starts(params: dict[str, Any], said: str) -> None:
    """In words that say what was expected."""
    trouble = catalog.check("ensemble", params)
    assert trouble is not None
    assert said in trouble


def test_a_model_of_other_bars_is_refused() -> None:
    """Trained on minutes, asked about hours, it would say something."""
    with pytest.raises(ValueError, match="expected 'interval' to be 1m"):
        Ensemble.check_models({"interval": "1h"}, {FILE.key: FILE})
    Ensemble.check_models({}, {FILE.key: FILE})


def test_what_the_parameters_name_is_known_without_an_engine() -> None:
    """Models are read before the fleet starts, score files are watched."""
    params = {"members": [MODEL_MEMBER, {"score": "s.json"}, RULE]}
    assert [each.model for each in Ensemble.references(params)] == ["m.onnx"]
    assert list(Ensemble.score_files(params)) == ["s.json"]
    assert not Ensemble.references({})


def test_a_hook_that_says_no_probability_is_left_out() -> None:
    """None is silence, anything else is named."""
    from levitrio.inference.ensemble.members import ask_hook

    for value, code in ((None, "silent"), (1.5, "wrong_answer"), (True, "wrong_answer")):
        found = ask_hook(lambda _, value=value: value, "BTCUSDT")  # type: ignore[misc]
        assert isinstance(found, Missing)
        assert found.code == code
