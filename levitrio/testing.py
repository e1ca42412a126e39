"""Tests strategies without a fleet, a clock or a network: events in, signals out.

    from levitrio.testing import run_strategy, trades

    def test_it_buys_a_rise() -> None:
        outcome = run_strategy(Mine("BTCUSDT"), trades([100, 101, 102]))
        assert outcome.sides == ["long"]

The strategy runs in the same `Engine` code as in a fleet: cycles come when they are due, a
return value that is no signal is refused, methods may be plain or async.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import attrs
import trio
import trio.testing

from levitrio.engine.engine import Engine
from levitrio.engine.inbox import Inbox
from levitrio.strategies.base import Signal, Strategy
from levitrio.strategies.state import plain_state
from levitrio.trading.candles import FIXED_INTERVALS
from levitrio.trading.clock import TapeClock
from levitrio.trading.market import Bar, MarketEvent, Quote, Trade
from levitrio.trading.orders import Fill, Side

START = datetime(2026, 1, 1, tzinfo=UTC)
"""Time of the first event that a factory makes, unless the caller gives one."""

Price = Decimal | str | float
"""A price or quantity; text is exact."""

__all__ = [
    "START",
    "Outcome",
    "TimedSignal",
    "bar",
    "bars",
    "fill",
    "play_strategy",
    "quote",
    "run_strategy",
    "trade",
    "trades",
]


@attrs.frozen
class TimedSignal:
    """One signal, and the event and time it followed."""

    number: int
    """Index of the event that it answers, from 0."""
    time_ms: int
    """Market time, ms since 1970."""
    signal: Signal


@attrs.frozen(kw_only=True)
class Outcome:
    """What a strategy returned for the events."""

    timed_signals: tuple[TimedSignal, ...]
    """Every signal, also one that repeats the side before."""
    state: object
    """What `state()` returned at the end, as a snapshot would keep it."""
    cycles: int
    """Number of calls of `on_cycle`."""

    @property
    def signals(self) -> list[Signal]:
        """The signals without their times."""
        return [each.signal for each in self.timed_signals]

    @property
    def sides(self) -> list[str]:
        """The side of each signal."""
        return [each.signal.side for each in self.timed_signals]


def run_strategy(
    strategy: Strategy | Callable[[], Strategy],
    events: Iterable[MarketEvent | Fill],
    *,
    state: object = None,
    cycle_interval: float = 1.0,
) -> Outcome:
    """Run a strategy over events, in virtual time.

    Inside a trio run (an async test) use `play_strategy`. What the strategy raises is raised here.

    Args:
        strategy: An instance, or a callable that makes one.
        events: Trades, quotes, bars and fills, in order; fills go to `on_fill`.
        state: Given back with `restore` first, unless None.
        cycle_interval: Seconds of market time between two `on_cycle`.

    Raises:
        TypeError: A method returned neither a signal nor None.
    """
    return trio.run(
        lambda: play_strategy(strategy, events, state=state, cycle_interval=cycle_interval),
        clock=trio.testing.MockClock(autojump_threshold=0),
    )


async def play_strategy(
    strategy: Strategy | Callable[[], Strategy],
    events: Iterable[MarketEvent | Fill],
    *,
    state: object = None,
    cycle_interval: float = 1.0,
) -> Outcome:
    """Run a strategy over events inside a trio run; otherwise like `run_strategy`.

    Args:
        strategy: An instance, or a callable that makes one.
        events: Trades, quotes, bars and fills, in order; fills go to `on_fill`.
        state: Given back with `restore` first, unless None.
        cycle_interval: Seconds of market time between two `on_cycle`.

    Raises:
        TypeError: A method returned neither a signal nor None.
    """
    timed: list[TimedSignal] = []
    cycles = 0
    number = 0
    clock = TapeClock()

    def submit(signal: Signal) -> None:
        timed.append(TimedSignal(number, clock.now_ms(), signal))

    made = strategy if isinstance(strategy, Strategy) else strategy()
    engine = Engine(
        symbol="",
        make_strategy=lambda: made,
        inbox=Inbox(),
        submit=submit,
        market_clock=clock,
        cycle_interval=cycle_interval,
        longest_nap=1.0,
        saved_state=None if state is None else plain_state(state),
    )
    engine.prepare()
    for number, event in enumerate(events):  # noqa: B007  `submit` reads it
        if isinstance(event, Fill):
            engine.fills.append(event)
            await engine.hand_over_fills()
            continue
        clock.see(event)
        due = engine.next_cycle_ms
        await engine.cycle(clock.now_ms())
        cycles += due != 0 and engine.next_cycle_ms != due
        handler = engine.handlers.get(type(event))
        if handler is not None and (reply := handler(event)) is not None:
            await engine.take(reply, handler)
    engine.save()
    return Outcome(timed_signals=tuple(timed), state=engine.saved_state, cycles=cycles)


def trade(
    price: Price,
    quantity: Price = "1",
    *,
    symbol: str = "BTCUSDT",
    time: datetime = START,
    trade_id: int = 1,
    buyer_is_maker: bool = False,
) -> Trade:
    """Make one trade.

    Args:
        price: In the quote asset.
        quantity: In the base asset.
        symbol: The venue's symbol.
        time: Aware; the venue's trade time.
        trade_id: The venue's trade id.
        buyer_is_maker: True when the taker sold.
    """
    return Trade.of(
        symbol, price, quantity, time=time, trade_id=trade_id, buyer_is_maker=buyer_is_maker
    )


def trades(
    prices: Sequence[Price],
    *,
    symbol: str = "BTCUSDT",
    start: datetime = START,
    every: float = 0.5,
    first_id: int = 1,
) -> list[Trade]:
    """Make trades of one unit each at these prices.

    Args:
        prices: One for each trade, in the quote asset.
        symbol: The venue's symbol.
        start: Time of the first trade, aware.
        every: Seconds between two trades.
        first_id: Trade id of the first; the others follow.
    """
    return [
        trade(
            price,
            symbol=symbol,
            time=start + timedelta(seconds=number * every),
            trade_id=first_id + number,
        )
        for number, price in enumerate(prices)
    ]


def quote(
    bid: Price, ask: Price, *, symbol: str = "BTCUSDT", size: Price = "1", update_id: int = 1
) -> Quote:
    """Make one quote with the same size on both sides.

    Args:
        bid: Best bid price, in the quote asset.
        ask: Best ask price, in the quote asset.
        symbol: The venue's symbol.
        size: Quantity on each side, in the base asset.
        update_id: The venue's id of the order book's update.
    """
    return Quote.of(symbol, bid, ask, bid_quantity=size, ask_quantity=size, update_id=update_id)


def bar(
    close: Price,
    *,
    symbol: str = "BTCUSDT",
    open_time: datetime = START,
    interval: str = "1m",
    open: Price | None = None,  # noqa: A002  the word of the field
    high: Price | None = None,
    low: Price | None = None,
    volume: Price = "1",
    trades: int = 1,
) -> Bar:
    """Make one closed bar; prices that are not given equal `close`.

    Args:
        close: Last price, in the quote asset.
        symbol: The venue's symbol.
        open_time: Start of the interval, aware.
        interval: The venue's name of the interval, not `1M`.
        open: First price.
        high: Highest price.
        low: Lowest price.
        volume: In the base asset.
        trades: Number of trades; 0 for a filler.
    """
    return Bar.of(
        symbol,
        close,
        open_time=open_time,
        open=open,
        high=high,
        low=low,
        volume=volume,
        interval=interval,
        interval_ms=FIXED_INTERVALS[interval],
        trades=trades,
    )


def bars(
    closes: Sequence[Price],
    *,
    symbol: str = "BTCUSDT",
    start: datetime = START,
    interval: str = "1m",
) -> list[Bar]:
    """Make consecutive bars with these closes; each opens at the close before it.

    Args:
        closes: One for each bar, in the quote asset.
        symbol: The venue's symbol.
        start: Start of the first bar, aware.
        interval: The venue's name of the interval, not `1M`.
    """
    step = timedelta(milliseconds=FIXED_INTERVALS[interval])
    made = []
    before = closes[0] if closes else 0
    for number, close in enumerate(closes):
        high, low = max(before, close, key=Decimal), min(before, close, key=Decimal)
        made.append(
            bar(
                close,
                symbol=symbol,
                open_time=start + number * step,
                interval=interval,
                open=before,
                high=high,
                low=low,
            )
        )
        before = close
    return made


def fill(
    side: str,
    price: Price,
    quantity: Price = "1",
    *,
    symbol: str = "BTCUSDT",
    time: datetime = START,
    position: Price = "0",
    average_entry: Price = "0",
) -> Fill:
    """Make one fill as `on_fill` receives it.

    Args:
        side: `buy` or `sell`.
        price: In the quote asset.
        quantity: In the base asset.
        symbol: The venue's symbol.
        time: Market time, aware.
        position: Position after the fill, in the base asset.
        average_entry: Average entry price after the fill.
    """
    return Fill(
        client_id="levi-0-1-0",
        symbol=symbol,
        side=Side(side.upper()),
        price=Decimal(str(price)),
        quantity=Decimal(str(quantity)),
        fee=Decimal(0),
        fee_asset="USDT",
        time_ms=round(time.timestamp() * 1000),
        venue="paper",
        position=Decimal(str(position)),
        average_entry=Decimal(str(average_entry)),
    )
