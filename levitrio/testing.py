"""A test kit for strategies: events in, signals out, without a fleet, a clock or a network.

    from levitrio.testing import run_strategy, trades

    def test_it_buys_a_rise() -> None:
        outcome = run_strategy(Mine("BTCUSDT"), trades([100, 101, 102]))
        assert outcome.sides == ["long"]

The strategy runs in the same `Engine` code as in a fleet: cycles come when they are due, a
wrong answer is refused, plain and async methods are the same to it.
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
"""Where the factories begin when nobody says otherwise."""

Price = Decimal | str | float

__all__ = [
    "START",
    "Outcome",
    "Told",
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
class Told:
    """One signal, and when it came."""

    number: int
    """Position of the event it answered, from 0."""
    time_ms: int
    """Market time, ms since 1970."""
    signal: Signal


@attrs.frozen(kw_only=True)
class Outcome:
    """What a strategy made of the events."""

    told: tuple[Told, ...]
    """Every signal, also one that repeats the side before."""
    state: object
    """What `state()` says at the end, as a snapshot would keep it."""
    cycles: int
    """How often `on_cycle` was called."""

    @property
    def signals(self) -> list[Signal]:
        """The signals alone."""
        return [each.signal for each in self.told]

    @property
    def sides(self) -> list[str]:
        """The sides of the signals."""
        return [each.signal.side for each in self.told]


def run_strategy(
    strategy: Strategy | Callable[[], Strategy],
    events: Iterable[MarketEvent | Fill],
    *,
    state: object = None,
    cycle_interval: float = 1.0,
) -> Outcome:
    """Run a strategy over events, in virtual time.

    Args:
        strategy: one, or what makes one.
        events: trades, quotes, bars and fills, in order. Fills go to `on_fill`.
        state: given back with `restore` first, unless None.
        cycle_interval: seconds of market time between two `on_cycle`.

    Raises whatever the strategy raises, and TypeError for an answer that is no signal. Inside a
    trio run (an async test) use `play_strategy`.
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
    """`run_strategy` for an async test, which brings its own clock."""
    told: list[Told] = []
    cycles = 0
    number = 0
    clock = TapeClock()

    def submit(signal: Signal) -> None:
        told.append(Told(number, clock.now_ms(), signal))

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
    return Outcome(told=tuple(told), state=engine.saved_state, cycles=cycles)


def trade(
    price: Price,
    quantity: Price = "1",
    *,
    symbol: str = "BTCUSDT",
    time: datetime = START,
    trade_id: int = 1,
    buyer_is_maker: bool = False,
) -> Trade:
    """One trade."""
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
    """Trades at these prices, one every so many seconds, of one unit each."""
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
    """One quote, the same size on both sides."""
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
    """One closed bar; prices that are not given equal `close`."""
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
    """Bars with these closes, one after the other; each opens at the close before it."""
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
    """One fill as `on_fill` gets it; `side` is `buy` or `sell`."""
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
