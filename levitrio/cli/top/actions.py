"""The commands of the live view: their keys, questions and params. Pure."""

from collections.abc import Mapping
from typing import Any

import attrs

from levitrio.cli.terminal import neutral
from levitrio.control.status_document import EngineStatus, FleetStatus


@attrs.frozen(kw_only=True)
class Action:
    """One key of the live view that sends a command."""

    key: str
    verb: str
    """Method of the control socket."""
    meaning: str
    """The text of the question, with placeholders such as `{symbol}`."""
    of_fleet: bool = False
    """It is for the whole fleet, not for the selected engine."""


ACTIONS = (
    Action(
        key="r",
        verb="restart",
        meaning="Ends incarnation {incarnation} of {symbol} and starts the next one at once. "
        "Its open orders are cancelled, its position ({position}) is kept.",
    ),
    Action(
        key="p",
        verb="pause",
        meaning="{symbol} goes on reading data and opens nothing new. Its open entries are "
        "cancelled, its position ({position}) is kept; exits still go out.",
    ),
    Action(key="u", verb="resume", meaning="{symbol} may open positions again."),
    Action(
        key="x",
        verb="stop",
        meaning="Stops {symbol}. Its open orders are cancelled; its position ({position}) is "
        "kept but not managed until the engine is started again.",
    ),
    Action(key="s", verb="start", meaning="Starts {symbol}."),
    Action(
        key="R",
        verb="reset",
        meaning="Forgets the crashes of {symbol} and the foreign coins found on its account, and "
        "starts it.",
    ),
    Action(
        key="H",
        verb="halt",
        meaning="HALTS THE WHOLE FLEET {fleet}: all {total} engines. Every open order is "
        "cancelled and no new one leaves, also after a restart, until unhalt. "
        "Positions are kept.",
        of_fleet=True,
    ),
    Action(
        key="U",
        verb="unhalt",
        meaning="Lets orders of the whole fleet {fleet} out again: all {total} engines. "
        "It is {trading_state} now{because}.",
        of_fleet=True,
    ),
)


@attrs.frozen(kw_only=True)
class Intent:
    """An action and its target, to be confirmed."""

    action: Action
    symbol: str | None

    @property
    def title(self) -> str:
        """The action in words: `restart SOLUSDT`, `halt the fleet`."""
        return f"{self.action.verb} {self.symbol or 'the fleet'}"

    @property
    def params(self) -> dict[str, object]:
        """The params of the control method."""
        if self.symbol is None:
            return {"reason": "from levi ctl top"} if self.action.verb == "halt" else {}
        return {"symbols": [self.symbol]}


def describe(intent: Intent, document: FleetStatus, row: EngineStatus | None) -> str:
    """The question: what the action will do."""
    reason = neutral(document.get("trading_reason") or "")
    return intent.action.meaning.format(
        symbol=intent.symbol,
        incarnation=neutral(row.get("incarnation", "-") if row else "-"),
        position=neutral(row.get("position", "-") if row else "-"),
        fleet=neutral(document.get("fleet", "-")),
        total=neutral(document.get("total", "-")),
        trading_state=neutral(document.get("trading_state", "-")),
        because=f" ({reason})" if reason else "",
    )


def outcome(intent: Intent, result: Mapping[str, Any]) -> str:
    """The answer of the fleet in one line."""
    if intent.symbol is None:
        return f"trading is {neutral(result.get('trading_state', '-'))}"
    found = result.get("results") or [{}]
    return f"{intent.symbol}: {neutral(found[0].get('status', '-'))}"
