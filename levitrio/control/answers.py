"""The other documents a fleet answers with, over the control socket and by HTTP.

As in `status_document`: TypedDicts that mypy checks, from which the OpenAPI schemas are made.
"""

from typing import Annotated, Literal, TypedDict

from msgspec import Meta

from levitrio.control.status_document import Always, Amount, Count, TradingStateWord

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Content type of the Prometheus text."""


class Incident(TypedDict):
    """One crash, hang or give-up of an engine."""

    time: Annotated[str, Meta(description="ISO 8601, UTC.")]
    symbol: str
    incarnation: Count
    cause: str
    error: str
    traceback: str
    last_lines: Annotated[str, Meta(description="The engine's last events before it.")]
    counts: Annotated[bool, Meta(description="It counts against the restart budget.")]
    delay: Annotated[float | None, Meta(description="Seconds to the restart; null: given up.")]
    wall_ms: int


class History(TypedDict):
    """The incidents of one engine, newest first."""

    symbol: str
    incidents: list[Incident]


class RiskStatus(TypedDict):
    """The trading state, the limits, and how much of them is used."""

    trading_state: TradingStateWord
    reason: str
    equity: Amount
    capital: Amount
    is_capital_known: bool
    daily_pnl: Amount
    peak_equity: Amount
    gross_exposure: Amount
    open_positions: Count
    orders_last_minute: Count
    denials: Annotated[dict[str, int], Meta(description="Orders our risk refused, by reason.")]
    limits: dict[str, int | float | str]


class TradingAnswer(TypedDict):
    """What `halt` and `unhalt` answer: the trading state that is in force."""

    ok: Always
    trading_state: str
    reason: str


class FillMark(TypedDict):
    """A fill, to be drawn on the curve of its price."""

    time: Annotated[float, Meta(description="Milliseconds of the market clock.")]
    price: float
    quantity: float
    side: Literal["buy", "sell"]


class PriceCurve(TypedDict):
    """The recent price of a symbol; `time` (market ms) and `price` have one length."""

    symbol: str
    time: list[float]
    price: list[float]
    fills: list[FillMark]


class EquityCurve(TypedDict):
    """Equity and drawdown since the fleet started; three lists of one length, oldest first."""

    time: Annotated[list[float], Meta(description="Milliseconds of the market clock.")]
    equity: list[float]
    drawdown: Annotated[list[float], Meta(description="Fractions of the highest equity.")]


class LoopLateness(TypedDict):
    """How often the loop's lateness was measured, and how often it was over 10 ms."""

    looks: Count
    over_10_ms: Count


class Health(TypedDict):
    """The process lives and its loop turns."""

    ok: Always
    fleet: str
    pid: Count
    loop: LoopLateness
