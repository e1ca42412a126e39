"""Counts, curves and loop lateness of a running fleet, for the page and for Prometheus.

Counts come from the event log; lateness is measured ten times a second. Curves are sampled only
with `[http]`, because only the page shows them.
"""

from collections import Counter, deque
from collections.abc import Mapping

import attrs
import trio

from levitrio.app.engine_slot import EngineSlot
from levitrio.app.status.document import SLICE, drawdown
from levitrio.control.answers import EquityCurve, FillMark, PriceCurve
from levitrio.gateway.account import Account
from levitrio.records.logs.event_log import Event
from levitrio.records.metrics.histogram import Histogram
from levitrio.records.metrics.time_series import DownsampledSeries, RecentSeries
from levitrio.trading.clock import MarketClock

PERIOD = 2.0
"""Seconds between two points of a curve: the last 24 minutes of a price, a whole run of equity."""

PROBE = 0.097
"""Seconds between two measurements of the loop's lateness: short enough to see a single stall. No
divisor of half a second, the period of the fleet's work: measurements in step with it met the same
stall always, or never."""

MARKS = 100
"""Fills kept for each symbol, to be drawn on its price."""

LATENESS_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
LATENCY_BOUNDS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds."""


@attrs.define(eq=False, kw_only=True)
class Telemetry:
    """Counts events as a sink of the event log, samples curves, and measures lateness."""

    slots: Mapping[str, EngineSlot]
    account: Account
    market_clock: MarketClock
    incidents: Counter[tuple[str, str]] = attrs.field(factory=Counter)
    """Crashes by symbol and cause."""
    kinds: Counter[str] = attrs.field(factory=Counter)
    """Events by kind."""
    lateness: Histogram = attrs.field(factory=lambda: Histogram(LATENESS_BOUNDS))
    order_latency: Histogram = attrs.field(factory=lambda: Histogram(LATENCY_BOUNDS))
    _equity: DownsampledSeries = attrs.field(factory=lambda: DownsampledSeries(3))
    """Market ms, equity, drawdown as a fraction."""
    _prices: dict[str, RecentSeries] = attrs.field(factory=dict)
    _fills: dict[str, deque[FillMark]] = attrs.field(factory=dict)
    _positions: dict[str, float] = attrs.field(factory=dict)
    _last_order: str = ""

    def __call__(self, event: Event) -> None:
        """Count an event. Called on the loop for each event, in order."""
        self.kinds[event.kind] += 1
        if event.engine is None:
            return
        if event.kind == "crashed":
            self.incidents[event.engine, str(event.data.get("cause", "crash"))] += 1
        elif event.kind == "fill":
            self._mark(event.engine, str(event.data.get("client_id", "")))

    def _mark(self, symbol: str, client_id: str) -> None:
        """Keep price and side of a fill, and how long its order took."""
        state = self.account.symbol_states[symbol]
        before = self._positions.get(symbol, 0.0)
        position = self._positions[symbol] = float(state.position.quantity)
        marks = self._fills.setdefault(symbol, deque(maxlen=MARKS))
        marks.append(
            {
                "time": self.market_clock.now_ms(),
                "price": float(state.position.last_price),
                "quantity": abs(position - before),
                "side": "buy" if position > before else "sell",
            }
        )
        if client_id != self._last_order and state.last_order_at is not None:
            # The latency of an order with several fills is that of the first.
            self._last_order = client_id
            self.order_latency.observe(trio.current_time() - state.last_order_at)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Sample the curves until cancelled."""
        for symbol, state in self.account.symbol_states.items():
            self._positions[symbol] = float(state.position.quantity)
        task_status.started()
        due = trio.current_time()
        while True:
            await self.sample()
            due = max(due + PERIOD, trio.current_time())
            await trio.sleep_until(due)

    async def probe(self) -> None:
        """Measure the loop's lateness until cancelled."""
        due = trio.current_time()
        while True:
            due += PROBE
            await trio.sleep_until(due)
            late = trio.current_time() - due
            self.lateness.observe(late)
            if late > PROBE:
                due += late  # one long stall is one observation, not a burst of them

    async def sample(self) -> None:
        """Add one point to every curve."""
        market_ms = float(self.market_clock.now_ms())
        if not market_ms:
            await trio.lowlevel.checkpoint()
            return
        equity = self.account.equity()
        lost = drawdown(equity, self.account.peak_equity)
        self._equity.append(market_ms, float(equity), float(lost))
        for number, (symbol, slot) in enumerate(tuple(self.slots.items()), start=1):
            price = slot.market.last_trade
            if price is not None:
                series = self._prices.get(symbol)
                if series is None:
                    series = self._prices[symbol] = RecentSeries(2)
                series.append(market_ms, float(price))
            if number % SLICE == 0:
                await trio.lowlevel.checkpoint()
        await trio.lowlevel.checkpoint()

    def equity_curve(self) -> EquityCurve:
        """Market ms, equity in the quote asset and drawdown as a fraction, over the whole run."""
        times, equity, drawdowns = self._equity.columns()
        return {"time": times, "equity": equity, "drawdown": drawdowns}

    def price_curve(self, symbol: str) -> PriceCurve:
        """A symbol's recent price, and its fills of this run."""
        series = self._prices.get(symbol)
        times, prices = ([], []) if series is None else series.columns()
        fills = list(self._fills.get(symbol, ()))
        return {"symbol": symbol, "time": times, "price": prices, "fills": fills}
