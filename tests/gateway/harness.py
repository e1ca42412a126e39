"""A gateway between fakes, for the tests of this folder."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal

import attrs
import trio

from levitrio.gateway.account import Account
from levitrio.gateway.context import GatewayContext
from levitrio.gateway.gateway import Gateway
from levitrio.gateway.order_decision import EntryRules, Rules
from levitrio.gateway.symbol_state import SymbolState
from levitrio.strategies import Signal
from levitrio.trading.market import Quote
from levitrio.trading.market_view import MarketView
from levitrio.trading.orders import Fill
from levitrio.trading.position import Position
from levitrio.trading.risk import DataState, Permission, RiskRules
from levitrio.trading.sizing import SizingRules
from levitrio.venues.base import Broker
from tests.fakes import FakeBroker, FakeJournal, FakeReport

LONG, FLAT, SHORT = (Signal(side=side) for side in ("long", "flat", "short"))


@attrs.define(eq=False)
class Harness:
    """A gateway between fakes; every symbol quotes 100/100 until `quote` is called."""

    symbols: tuple[str, ...] = ("BTCUSDT",)
    risk: RiskRules = attrs.field(factory=RiskRules)
    journal: FakeJournal = attrs.field(factory=FakeJournal)
    broker: FakeBroker = attrs.field(factory=FakeBroker)
    venue: Broker | None = None
    """Where orders go instead of `broker`."""
    entry: EntryRules = attrs.field(factory=EntryRules)
    report: FakeReport = attrs.field(factory=FakeReport)
    cash: Decimal = Decimal(10_000)
    market_ms: int = 1_000
    data_age: float | None = 0.0
    fills: list[Fill] = attrs.field(factory=list)
    gateway: Gateway = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        symbol_states = {}
        for symbol in self.symbols:
            market = MarketView(symbol=symbol)
            market.see(Quote.of(symbol, "100", "100"))
            position = Position(symbol=symbol, quote_asset="USDT")
            symbol_states[symbol] = SymbolState(symbol=symbol, position=position, market=market)
        self.gateway = Gateway(
            account=Account(symbol_states=symbol_states, name="fake", capital=self.cash),
            rules=Rules(risk=self.risk, sizing=SizingRules(), entry=self.entry),
            journal=self.journal,
            broker=self.venue or self.broker,
            quote_asset="USDT",
            context=GatewayContext(
                market_ms=lambda: self.market_ms,
                wall_ms=lambda: 0,
                data_state=lambda symbol: DataState(age=self.data_age),
                report=self.report,
            ),
        )

    def admit(self, symbol: str = "BTCUSDT", incarnation: int = 1) -> Callable[[Signal], None]:
        self.gateway.permit(symbol, Permission.ALL)
        submit = self.gateway.admit(symbol, incarnation)
        self.gateway.send_fills(symbol, self.fills.append)
        return submit

    def quote(self, price: str, symbol: str = "BTCUSDT") -> None:
        self.gateway.symbol_states[symbol].market.see(Quote.of(symbol, price, price))

    @property
    def symbol_state(self) -> SymbolState:
        return self.gateway.symbol_states[self.symbols[0]]

    @asynccontextmanager
    async def running(self, *, ready: bool = True) -> AsyncIterator[None]:
        """Run the gateway; `ready` waits until every symbol was compared with the venue."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self.gateway.run)
            for state in self.gateway.symbol_states.values() if ready else ():
                await state.ready.wait()
            yield
            nursery.cancel_scope.cancel()
