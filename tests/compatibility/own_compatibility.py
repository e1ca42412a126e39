"""Strategies of the recorded fleets: they hold, they crash, they trade plenty.

Tracebacks and reports name the lines of this file: a change means recording anew.
"""

import random
from typing import Any, Literal

from levitrio.strategies import Signal, Strategy

Side = Literal["long", "flat", "short"]
SIDES: tuple[Side, ...] = ("long", "flat", "short")


class Holder(Strategy):
    """Buys at the first trade and holds."""

    def on_trade(self, trade: Any) -> Signal:
        return Signal(side="long")


class Short(Strategy):
    """Wants to be short, which spot denies."""

    def on_trade(self, trade: Any) -> Signal:
        return Signal(side="short")


class Poison(Strategy):
    """Crashes at its 40th trade."""

    def __init__(self, symbol: str) -> None:
        self.left = 40

    def on_trade(self, trade: Any) -> None:
        self.left -= 1
        if self.left == 0:
            raise RuntimeError("the fortieth")


class Coin(Strategy):
    """Throws a seeded coin at each nth trade; crashes rarely; keeps its state."""

    def __init__(
        self, symbol: str, *, seed: int = 1, every: int = 10, crash_every: int = 0
    ) -> None:
        self.seed = seed
        self.every = every
        self.crash_every = crash_every
        self.seen = 0
        self.spread = 0.0

    def state(self) -> dict[str, int]:
        return {"seen": self.seen}

    def restore(self, state: Any) -> None:
        self.seen = state["seen"]

    def on_quote(self, quote: Any) -> None:
        self.spread = float(quote.ask - quote.bid)

    async def on_trade(self, trade: Any) -> Signal | None:
        self.seen += 1
        if self.crash_every and self.seen % self.crash_every == 0:
            raise ValueError(f"trade {self.seen}")
        if self.seen % self.every:
            return None
        chance = random.Random(self.seed * 1_000_003 + self.seen)
        side: Side = chance.choice(SIDES)
        return Signal(
            side=side,
            prob_up=round(chance.uniform(0.5, 0.9), 3),
            confidence=round(chance.uniform(0.4, 1.0), 3),
        )
