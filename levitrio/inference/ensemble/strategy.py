"""The ensemble: models, rules and outside scores, weighed into one signal at each bar's close."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from levitrio.inference.ensemble.members import (
    SILENT,
    Hook,
    Member,
    Rule,
    ask_hook,
    load_hook,
    parse_members,
)
from levitrio.inference.ensemble.voting import Side, choose, combine
from levitrio.inference.features.feature_vectors import FeatureVectors
from levitrio.inference.interface import Missing, ModelUser
from levitrio.inference.models.model_file import ModelFile, ModelReference
from levitrio.strategies.base import Signal, Strategy
from levitrio.trading.candles import FIXED_INTERVALS
from levitrio.trading.market import Bar, Quote, Trade
from levitrio.trading.orders import Fill

DEFAULT_MEMBERS: tuple[Mapping[str, Any], ...] = ({"rule": "ema_cross"}, {"rule": "breakout"})
"""Two rules on trades; which model fits a market is nothing to be guessed."""

_NO_FLEET = Missing(code="no_fleet", reason="models are only there in a fleet")


class Ensemble(ModelUser, Strategy):
    """Weighs models, rules and outside scores; long, short or flat by thresholds.

    Each closed bar of `interval` every member is asked for the probability of a rise. Who has
    nothing to say is left out of the mean and reported once; the confidence falls with it.
    """

    def __init__(
        self,
        symbol: str,
        *,
        members: Sequence[Mapping[str, Any]] = DEFAULT_MEMBERS,
        interval: str = "1m",
        long_above: float = 0.55,
        short_below: float = 0.45,
        shorts: bool = False,
    ) -> None:
        self._members = parse_members(members)
        _check_thresholds(long_above, short_below)
        if interval not in FIXED_INTERVALS:
            known = ", ".join(FIXED_INTERVALS)
            raise ValueError(f"'interval': expected one of {known}, got {interval!r}")
        self._symbol, self._interval = symbol, interval
        self._long_above, self._short_below = long_above, short_below
        self._shorts = shorts
        self._weights = [member.weight for member in self._members]
        self._rules: dict[int, Rule] = {}
        self._hooks: dict[int, Hook] = {}
        self._keys: dict[int, str] = {}
        for index, member in enumerate(self._members):
            if member.kind == "rule":
                self._rules[index] = Rule.of(member, symbol)
            elif member.kind == "hook":
                self._hooks[index] = load_hook(member.what)
            elif member.kind == "model":
                self._keys[index] = member.reference.key
        self._vectors = FeatureVectors(FIXED_INTERVALS[interval])
        self._listeners = {
            method: [rule for rule in self._rules.values() if rule.hears(method)]
            for method in ("on_trade", "on_quote", "on_bar", "on_cycle", "on_fill")
        }
        self._is_live = False
        """It has seen a trade or a quote: what came before was the past, for warming up."""
        self._absent: dict[int, str] = {}
        """Members that are missing and were reported, with the code of the reason."""
        self._side: Side = "flat"

    @classmethod
    def references(cls, params: Mapping[str, Any]) -> Sequence[ModelReference]:
        members = parse_members(params.get("members", DEFAULT_MEMBERS))
        return [member.reference for member in members if member.kind == "model"]

    @classmethod
    def score_files(cls, params: Mapping[str, Any]) -> Sequence[str]:
        members = parse_members(params.get("members", DEFAULT_MEMBERS))
        return [member.what for member in members if member.kind == "score"]

    @classmethod
    def check_models(cls, params: Mapping[str, Any], files: Mapping[str, ModelFile]) -> None:
        interval = params.get("interval", "1m")
        for file in files.values():
            if file.interval and file.interval != interval:
                raise ValueError(
                    f"model {file.name!r}: expected 'interval' to be {file.interval}, which it "
                    f"was trained on, got {interval}"
                )

    def on_trade(self, trade: Trade) -> None:
        self._is_live = True
        if self._keys:
            self._vectors.see_trade(trade)
        self._tell_rules("on_trade", trade)

    def on_quote(self, quote: Quote) -> None:
        self._is_live = True
        if self._keys:
            self._vectors.see_quote(quote)
        self._tell_rules("on_quote", quote)

    def on_cycle(self, now: datetime) -> None:
        self._tell_rules("on_cycle", now)

    def on_fill(self, fill: Fill) -> None:
        self._tell_rules("on_fill", fill)

    async def on_bar(self, bar: Bar) -> Signal | None:
        self._tell_rules("on_bar", bar)
        if bar.interval != self._interval or not bar.trades:
            return None  # the price of a filler is nobody's: a quiet interval tells nothing
        values = await self._ask_all(bar)
        self._report(values)
        verdict = combine(self._weights, values)
        if verdict is None:
            return None
        self._side = choose(
            verdict.prob_up,
            self._side,
            long_above=self._long_above,
            short_below=self._short_below,
            shorts=self._shorts,
        )
        # At each bar, also without news: what was denied or was only warm-up is asked for again.
        return Signal(side=self._side, prob_up=verdict.prob_up, confidence=verdict.confidence)

    def state(self) -> dict[str, Any]:
        return {
            "side": self._side,
            "bars": self._vectors.state(),
            "rules": {
                self._name(index): {
                    "state": rule.strategy.state(),
                    "stance": None if isinstance(rule.stance, Missing) else rule.stance,
                }
                for index, rule in self._rules.items()
            },
        }

    def restore(self, state: dict[str, Any]) -> None:
        if state.get("side") in ("long", "short", "flat"):
            self._side = cast("Side", state["side"])
        self._vectors.restore(state.get("bars", ()))
        saved_rules = state.get("rules", {})
        for index, rule in self._rules.items():
            saved = saved_rules.get(self._name(index))
            if saved is None:
                continue  # fleet.toml named other members then
            if saved["state"] is not None:
                rule.strategy.restore(saved["state"])
            if saved["stance"] is not None:
                rule.stance = float(saved["stance"])

    def _name(self, index: int) -> str:
        return f"{index} {self._members[index].label}"

    def _tell_rules(self, method: str, event: Any) -> None:
        for rule in self._listeners[method]:
            rule.hear(method, event)

    async def _ask_all(self, bar: Bar) -> list[float | Missing]:
        """What each member says, in the order of the file."""
        values: list[float | Missing] = [SILENT] * len(self._members)
        for index, value in (await self._ask_models(bar)).items():
            values[index] = value
        for index, rule in self._rules.items():
            values[index] = rule.stance
        for index, hook in self._hooks.items():
            values[index] = ask_hook(hook, self._symbol)
        for index, member in enumerate(self._members):
            if member.kind == "score":
                values[index] = self._external(member)
        return values

    def _external(self, member: Member) -> float | Missing:
        if self.models is None:
            return _NO_FLEET
        max_age = float(member.settings.get("max_age", 300.0))
        return self.models.external(member.what, self._symbol, max_age)

    async def _ask_models(self, bar: Bar) -> dict[int, float | Missing]:
        if not self._keys:
            return {}
        if self.models is None:
            return dict.fromkeys(self._keys, _NO_FLEET)
        found: dict[int, float | Missing] = {}
        calls = {}
        files = {index: self.models.file(key) for index, key in self._keys.items()}
        vectors = self._vectors.close(bar, {file.schema for file in files.values() if file})
        for index, file in files.items():
            vector = _NO_FLEET if file is None else vectors[file.schema.name]
            if isinstance(vector, Missing):
                found[index] = vector
            else:
                calls[index] = (self._keys[index], vector)
        if calls:
            answers = await self.models.ask(list(calls.values()))
            found.update(zip(calls, answers, strict=True))
        return found

    def _report(self, values: Sequence[float | Missing]) -> None:
        """Say who is missing, once for each reason, and who is back."""
        if self.models is None or not self._is_live:
            return
        for index, value in enumerate(values):
            label = self._members[index].label
            if not isinstance(value, Missing):
                if self._absent.pop(index, None) is not None:
                    self.models.note("member_back", f"{label} speaks again")
            elif self._absent.get(index) != value.code:
                self._absent[index] = value.code
                self.models.note("member_missing", f"{label} is left out: {value.reason}")


def _check_thresholds(long_above: float, short_below: float) -> None:
    thresholds: dict[str, object] = {"long_above": long_above, "short_below": short_below}
    for name, value in thresholds.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
            raise ValueError(f"{name!r}: expected a number above 0 and below 1, got {value!r}")
    if short_below >= long_above:
        raise ValueError(f"'short_below': expected less than long_above, got {short_below}")
