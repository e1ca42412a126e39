"""A market that stands still until moved, and a venue with one account on it."""

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlencode

import attrs

from levitrio.trading.candles import Candle
from levitrio.trading.market import Quote, Trade
from levitrio.trading.venue_orders import Depth
from levitrio.venues.binance.orders.signing import HmacKey
from levitrio.venues.simulator.api.api import ExchangeApi
from levitrio.venues.simulator.api.rest import HttpRequest, HttpResponse, handle
from levitrio.venues.simulator.exchange.accounts import ApiKey, VenueAccount
from levitrio.venues.simulator.exchange.faults import FaultPlan, Faults
from levitrio.venues.simulator.market.market import assets_of
from levitrio.venues.simulator.market.price_generator import SimulatedMarket

D = Decimal
NOW_MS = 1_750_000_000_000
SYMBOL = "BTCUSDT"


def rest_query(params: dict[str, Any]) -> str:
    """A client's query string in the order of the parameters: the text that is signed and sent."""
    return urlencode(
        {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in params.items()
            if value is not None
        },
        quote_via=quote,
        safe="",
    )


@attrs.define(eq=False)
class StillMarket:
    """Bid 99, ask 101, ten of each, unless a test moves it. Tick 0.01, step 0.001."""

    time_ms: int = NOW_MS
    bids: list[tuple[Decimal, Decimal]] = attrs.field(factory=lambda: [(D(99), D(10))])
    asks: list[tuple[Decimal, Decimal]] = attrs.field(factory=lambda: [(D(101), D(10))])
    update_id: int = 1
    made: list[Trade] = attrs.field(
        factory=lambda: [Trade.of(SYMBOL, 100, 1, time=NOW_MS - 1_000, trade_id=1)]
    )

    def move(self, bid: str, ask: str) -> Quote:
        """The touch moves; ten of each again."""
        self.update_id += 1
        self.bids, self.asks = [(D(bid), D(10))], [(D(ask), D(10))]
        return self.quote(SYMBOL)

    def trade(self, price: str, quantity: str, *, taker_sold: bool) -> Trade:
        """One trade of the market."""
        trade = Trade.of(
            SYMBOL,
            price,
            quantity,
            time=self.time_ms,
            trade_id=self.made[-1].trade_id + 1 if self.made else 1,
            buyer_is_maker=taker_sold,
        )
        self.made.append(trade)
        return trade

    def now_ms(self) -> int:
        return self.time_ms

    def symbols(self) -> tuple[str, ...]:
        return (SYMBOL,)

    def rules(self, symbol: str) -> SimulatedMarket | None:
        if assets_of(symbol) is None:
            return None
        return SimulatedMarket(anchor=D(100), tick=D("0.01"), step=D("0.001"))

    def quote(self, symbol: str) -> Quote:
        (bid, bid_quantity), (ask, ask_quantity) = self.bids[0], self.asks[0]
        return Quote.of(
            symbol,
            bid,
            ask,
            bid_quantity=bid_quantity,
            ask_quantity=ask_quantity,
            update_id=self.update_id,
        )

    def depth(self, symbol: str, levels: int) -> Depth | None:
        return Depth(bids=self.bids[:levels], asks=self.asks[:levels], update_id=self.update_id)

    def trades(
        self, symbol: str, *, from_id: int | None, start_ms: int | None, end_ms: int, limit: int
    ) -> list[Trade]:
        return self.made[-limit:]

    def candles(
        self, symbol: str, interval: str, *, start_ms: int | None, end_ms: int, limit: int
    ) -> list[Candle]:
        return []

    def total(self, symbol: str, start_ms: int) -> Candle | None:
        return None

    def prepare(self, symbol: str, start_ms: int) -> Iterator[None]:
        yield from ()


@attrs.define(eq=False)
class Signed:
    """A venue, and a client with key `K` and secret `S` that signs REST requests."""

    venue: ExchangeApi
    market: StillMarket
    later: list[tuple[float, Callable[[], None]]]
    watched: list[tuple[str, bool]]

    @property
    def account(self) -> VenueAccount:
        account, _ = self.venue.authenticate(self.call({}))
        return account

    def call(self, params: dict[str, Any]) -> Any:
        from levitrio.venues.simulator.api.api import ApiCall

        values = {"timestamp": str(self.venue.wall_ms()), **params}
        payload = rest_query(values)
        return ApiCall(
            values=values, api_key="K", signature=HmacKey("S").sign(payload), payload=payload
        )

    def send(
        self,
        verb: str,
        path: str,
        *,
        key: str = "K",
        secret: str = "S",
        in_body: bool = False,
        **params: Any,
    ) -> HttpResponse:
        """One signed request below /api/v3/."""
        params.setdefault("timestamp", self.venue.wall_ms())
        query = rest_query(params)
        query += f"&signature={HmacKey(secret).sign(query)}"
        return handle(
            self.venue,
            HttpRequest(
                verb=verb,
                target=f"/api/v3/{path}" + ("" if in_body else f"?{query}"),
                headers={"x-mbx-apikey": key},
                body=query.encode() if in_body else b"",
            ),
        )

    def get(self, path: str) -> HttpResponse:
        """One unsigned request below /api/v3/."""
        return handle(self.venue, HttpRequest(verb="GET", target=f"/api/v3/{path}", headers={}))


def signed(faults: Faults | None = None, **balances: str) -> Signed:
    """A venue whose account holds 10,000 USDT and 10 BTC, by default."""
    market = StillMarket()
    later: list[tuple[float, Callable[[], None]]] = []
    watched: list[tuple[str, bool]] = []
    venue = ExchangeApi(
        market=market,
        wall_clock=lambda: market.time_ms / 1000,
        later=lambda seconds, act: later.append((seconds, act)),
        keys=(ApiKey.of("K", "S"),),
        balances={asset: D(amount) for asset, amount in balances.items()}
        or {"USDT": D(10_000), "BTC": D(10)},
        fee=D("0.001"),
        faults=FaultPlan(faults or Faults()),
        watch=lambda symbol, is_wanted: watched.append((symbol, is_wanted)),
    )
    return Signed(venue, market, later, watched)
