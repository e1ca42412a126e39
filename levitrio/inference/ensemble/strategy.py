"""The ensemble strategy: weighs models, rules and external scores into one signal per bar."""

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
"""Two rules on trades; no model fits every market."""

_NO_FLEET = Missing(code="no_fleet", reason="models are only there in a fleet")


class Ensemble(ModelUser, Strategy):
    """Weighs models, rules and outside scores; long, short or flat by thresholds.

    At each closed bar of `interval` every member gives the probability of a rise. A member without
    one is left out of the mean and reported once; the confidence falls with its weight.
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
            method: [rule for rule in self._rules.values() if rule.handles(method)]
            for method in ("on_trade", "on_quote", "on_bar", "on_cycle", "on_fill")
        }
        self._is_live = False
        """Whether a trade or quote has come: earlier bars are the past, for warming up."""
        self._absent: dict[int, str] = {}
        """Reported missing members, with the code of the reason."""
        self._side: Side = "flat"

    @classmethod
    def references(cls, params: Mapping[str, Any]) -> Sequence[ModelReference]:
        """The models among the members."""
        members = parse_members(params.get("members", DEFAULT_MEMBERS))
        return [member.reference for member in members if member.kind == "model"]

    @classmethod
    def score_files(cls, params: Mapping[str, Any]) -> Sequence[str]:
        """The score files among the members."""
        members = parse_members(params.get("members", DEFAULT_MEMBERS))
        return [member.what for member in members if member.kind == "score"]

    @classmethod
    def check_models(cls, params: Mapping[str, Any], files: Mapping[str, ModelFile]) -> None:
        """Raise ValueError when a model was trained on bars of another interval."""
        interval = params.get("interval", "1m")
        for file in files.values():
            if file.interval and file.interval != interval:
                raise ValueError(
                    f"model {file.name!r}: expected 'interval' to be {file.interval}, which it "
                    f"was trained on, got {interval}"
                )

    def on_trade(self, trade: Trade) -> None:
        """Add the trade to the bar's features; pass it to the rules."""
        self._is_live = True
        if self._keys:
            self._vectors.see_trade(trade)
        self._update_rules("on_trade", trade)

    def on_quote(self, quote: Quote) -> None:
        """Add the quote to the bar's features; pass it to the rules."""
        self._is_live = True
        if self._keys:
            self._vectors.see_quote(quote)
        self._update_rules("on_quote", quote)

    def on_cycle(self, now: datetime) -> None:
        """Pass the time to the rules."""
        self._update_rules("on_cycle", now)

    def on_fill(self, fill: Fill) -> None:
        """Pass the fill to the rules."""
        self._update_rules("on_fill", fill)

    async def on_bar(self, bar: Bar) -> Signal | None:
        """Ask all members and return the weighed signal."""
        self._update_rules("on_bar", bar)
        if bar.interval != self._interval or not bar.trades:
            return None  # a bar without trades only repeats the last price
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
        # At each bar, even unchanged: a target that was denied or ignored is sent again.
        return Signal(side=self._side, prob_up=verdict.prob_up, confidence=verdict.confidence)

    def state(self) -> dict[str, Any]:
        """Side, bars and the rules' states."""
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
        """Restore what `state` returned; members that have changed start anew."""
        if state.get("side") in ("long", "short", "flat"):
            self._side = cast("Side", state["side"])
        self._vectors.restore(state.get("bars", ()))
        saved_rules = state.get("rules", {})
        for index, rule in self._rules.items():
            saved = saved_rules.get(self._name(index))
            if saved is None:
                continue  # the state was saved with other members
            if saved["state"] is not None:
                rule.strategy.restore(saved["state"])
            if saved["stance"] is not None:
                rule.stance = float(saved["stance"])

    def _name(self, index: int) -> str:
        return f"{index} {self._members[index].label}"

    def _update_rules(self, method: str, event: Any) -> None:
        for rule in self._listeners[method]:
            rule.handle(method, event)

    async def _ask_all(self, bar: Bar) -> list[float | Missing]:
        """The vote of each member, in the order of fleet.toml."""
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
        """Report members that are missing, once for each reason, and those that are back."""
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
