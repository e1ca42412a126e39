"""A broker of ours and the built-in simulator, in one process and in virtual time.

The simulator speaks the venue's protocol over streams in memory; what a test wants to go wrong
is set as the simulator's own faults, or done to the streams.
"""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal

import attrs
import trio
from trio.testing import memory_stream_pair

from levitrio.trading.orders import Order, OrderType, Side
from levitrio.venues.binance.orders.broker import BinanceBroker
from levitrio.venues.binance.orders.credentials import Credentials
from levitrio.venues.binance.orders.session import RENEW_AFTER
from levitrio.venues.simulator.exchange.accounts import ApiKey, VenueAccount
from levitrio.venues.simulator.exchange.faults import Faults
from levitrio.venues.simulator.server.simulator import Simulator
from tests.factories import make_order
from tests.fakes import FakeListener

EPOCH = 1_790_000_000.0
"""Wall clock at virtual second 0."""

API_KEY = "K7hQ2mZp9XcV4bNw8RtY1uJs6LfD3gAe"
API_SECRET = "S3xW8vBn5KqT2yHj7MdR9pGc4ZuF6aLe"

SYMBOL = "BTCUSDT"


@attrs.define(eq=False)
class BrokerHarness:
    """What a test talks to."""

    simulator: Simulator
    broker: BinanceBroker = attrs.field(init=False)
    streams: list[trio.abc.Stream] = attrs.field(factory=list)
    """The broker's side of its connections, oldest first."""
    listener: FakeListener = attrs.field(factory=FakeListener)
    events: list[tuple[str, str]] = attrs.field(factory=list)
    is_down: bool = False
    _ids: int = 0
    _change: trio.Event = attrs.field(factory=trio.Event)

    @property
    def account(self) -> VenueAccount:
        """The account as the venue keeps it."""
        (account,) = self.simulator.venue._accounts.values()
        return account

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.events]

    def fault(self, **faults: object) -> None:
        """What goes wrong from now on."""
        self.simulator.venue.faults.replace(Faults.parse(faults))

    def order(
        self,
        side: Side = Side.BUY,
        quantity: str = "0.010",
        *,
        kind: OrderType = OrderType.MARKET,
        price: str | None = None,
        is_exit: bool = False,
    ) -> Order:
        self._ids += 1
        return make_order(
            client_id=f"levi-0-{self._ids:x}-0",
            symbol=SYMBOL,
            side=side,
            type=kind,
            quantity=Decimal(quantity),
            price=None if price is None else Decimal(price),
            is_exit=is_exit,
        )

    def price(self, share: str) -> str:
        """So much of the best bid, on a tick of the venue."""
        depth = self.simulator.venue.market.depth(SYMBOL, 1)
        assert depth is not None
        return str((depth.bids[0][0] * Decimal(share)).quantize(Decimal("0.01")))

    def resting(self) -> Order:
        """A bid well below the market."""
        return self.order(kind=OrderType.LIMIT, price=self.price("0.9"))

    async def connected(self) -> None:
        """Wait until orders can be sent."""
        while self.broker._keeper.session is None:
            self._change = trio.Event()
            await self._change.wait()

    def tell(self, kind: str, text: str, *, engine: str | None = None) -> None:
        """The broker's events."""
        self.events.append((kind, text))
        self._change.set()

    async def cut(self) -> None:
        """End the newest connection without a word."""
        await self.streams[-1].aclose()
        await trio.testing.wait_all_tasks_blocked()


@asynccontextmanager
async def broker_harness(
    *,
    credentials: Credentials | None = None,
    keys: Sequence[ApiKey] = (ApiKey.of(API_KEY, API_SECRET),),
    connect: bool = True,
    renew_after: float = RENEW_AFTER,
    seed: int = 7,
) -> AsyncIterator[BrokerHarness]:
    """A broker that is connected, and trades on an account with 100,000 USDT and 1 BTC."""

    def wall_clock() -> float:
        return EPOCH + trio.current_time()

    async with trio.open_nursery() as nursery:
        simulator = Simulator(
            seed=seed,
            wall_clock=wall_clock,
            keys=keys,
            balances={"USDT": Decimal(100_000), "BTC": Decimal(1)},
        )

        harness = BrokerHarness(simulator)

        async def open_stream(host: str, port: int, tls: bool) -> trio.abc.Stream:
            await trio.lowlevel.checkpoint()
            if harness.is_down:
                raise ConnectionRefusedError("connection refused")
            ours, theirs = memory_stream_pair()
            harness.streams.append(ours)
            nursery.start_soon(simulator.handle, theirs)
            return ours

        broker = harness.broker = BinanceBroker(
            address=lambda: "ws://127.0.0.1:1/ws-api/v3",
            venue="simulator",
            credentials=credentials or Credentials.of(API_KEY, API_SECRET),
            on_event=lambda kind, text, *, engine=None: harness.tell(kind, text),
            backoff=lambda attempt, chance: min(60.0, 2.0**attempt),
            chance=random.Random(seed).random,
            renew_after=renew_after,
            open_stream=open_stream,
        )
        broker.listen(harness.listener)
        nursery.start_soon(simulator.play)
        nursery.start_soon(simulator.run_timers)
        await nursery.start(broker.run)
        if connect:
            await harness.connected()
        yield harness
        nursery.cancel_scope.cancel()
