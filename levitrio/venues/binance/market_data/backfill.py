"""What the streams did not bring, from the venue's history.

Single trades cost much weight and aggregates little, so aggregates are asked first: most of them
are one trade. Only the ids inside real aggregates are asked for one by one.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from levitrio.errors import VenueError
from levitrio.trading.market import Bar, Trade
from levitrio.trading.order_book import DepthSnapshot
from levitrio.venues.binance.market_data.gaps import ranges
from levitrio.venues.binance.market_data.validation import (
    AMOUNT,
    EARLIEST_MS,
    LATEST_MS,
    POSITIVE,
    check_bar,
)
from levitrio.venues.binance.rest import RestClient

PAGE = 1_000
"""Rows of one answer, the venue's most."""
DEPTH_LEVELS = 1_000
_DEPTH_WEIGHT = 50
_AGGREGATES_WEIGHT = 4
_TRADES_WEIGHT = 25
_KLINES_WEIGHT = 2


class Backfill(Protocol):
    """The feed's source for what it missed. Raises VenueError when the venue does not tell."""

    async def trades(
        self, symbol: str, ids: Sequence[int], *, since_ms: int, until_ms: int
    ) -> list[Trade]:
        """Those of `ids` that can be had, ascending; they happened between the two times."""

    async def bars(
        self, symbol: str, interval: str, *, first_open_ms: int, last_open_ms: int
    ) -> list[Bar]:
        """Closed bars that opened in between, both included, ascending."""

    async def depth(self, symbol: str) -> DepthSnapshot:
        """The order book now."""


class _Aggregate(msgspec.Struct):
    a: int
    p: str
    q: str
    f: int
    l: int  # noqa: E741  the venue's name
    T: int
    m: bool


class _TradeRow(msgspec.Struct):
    id: int
    price: str
    qty: str
    time: int
    isBuyerMaker: bool  # noqa: N815  the venue's name


_aggregates = msgspec.json.Decoder(list[_Aggregate])
_trades = msgspec.json.Decoder(list[_TradeRow])
_klines = msgspec.json.Decoder(list[list[int | str | float]])
_depth = msgspec.json.Decoder(DepthSnapshot)


class RestBackfill:
    """Implements `Backfill` with the venue's REST interface."""

    def __init__(
        self, client: RestClient, *, on_snapshot: Callable[[bytes], None] | None = None
    ) -> None:
        """`on_snapshot` is shown the text of each depth snapshot, as a recorder needs it."""
        self._client = client
        self._on_snapshot = on_snapshot

    async def trades(
        self, symbol: str, ids: Sequence[int], *, since_ms: int, until_ms: int
    ) -> list[Trade]:
        """Those of `ids` that can be had, ascending; they happened between the two times."""
        wanted = set(ids)
        found: dict[int, Trade] = {}
        for row in await self._aggregates_between(symbol, since_ms, until_ms, max(wanted)):
            if row.f == row.l and row.f in wanted:
                trade = _trade(symbol, row.f, row.p, row.q, row.T, row.m)
                found[row.f] = trade
        for first, last in ranges(wanted - found.keys()):
            found.update(await self._single_trades(symbol, first, last))
        return [found[number] for number in sorted(found)]

    async def bars(
        self, symbol: str, interval: str, *, first_open_ms: int, last_open_ms: int
    ) -> list[Bar]:
        """Closed bars that opened in between, both included, ascending; at most 1,000."""
        params = {
            "symbol": symbol,
            "interval": interval,
            "startTime": first_open_ms,
            "endTime": last_open_ms,
            "limit": PAGE,
        }
        rows = await self._ask("/api/v3/klines", params, _KLINES_WEIGHT, _klines)
        bars = [_bar(symbol, interval, row) for row in rows]
        return [bar for bar in bars if first_open_ms <= bar.open_time_ms <= last_open_ms]

    async def depth(self, symbol: str) -> DepthSnapshot:
        """The order book now."""
        params = {"symbol": symbol, "limit": DEPTH_LEVELS}
        body = await self._client.get("/api/v3/depth", params, weight=_DEPTH_WEIGHT)
        snapshot: DepthSnapshot = _decode("/api/v3/depth", body, _depth)
        for price, quantity in (*snapshot.bids, *snapshot.asks):
            if not POSITIVE.fullmatch(price) or not AMOUNT.fullmatch(quantity):
                raise VenueError(f"/api/v3/depth: expected amounts, got {price!r}, {quantity!r}")
        if self._on_snapshot is not None:
            self._on_snapshot(body)
        return snapshot

    async def _aggregates_between(
        self, symbol: str, since_ms: int, until_ms: int, last_id: int
    ) -> list[_Aggregate]:
        params: dict[str, object] = {
            "symbol": symbol,
            "startTime": since_ms,
            "endTime": until_ms,
            "limit": PAGE,
        }
        found: list[_Aggregate] = []
        while True:
            rows: list[_Aggregate] = await self._ask(
                "/api/v3/aggTrades", params, _AGGREGATES_WEIGHT, _aggregates
            )
            found += rows
            if len(rows) < PAGE or rows[-1].l >= last_id:
                return found
            params = {"symbol": symbol, "fromId": rows[-1].a + 1, "limit": PAGE}

    async def _single_trades(self, symbol: str, first: int, last: int) -> dict[int, Trade]:
        found: dict[int, Trade] = {}
        while first <= last:
            params = {"symbol": symbol, "fromId": first, "limit": min(PAGE, last - first + 1)}
            rows: list[_TradeRow] = await self._ask(
                "/api/v3/historicalTrades", params, _TRADES_WEIGHT, _trades
            )
            for row in rows:
                if first <= row.id <= last:
                    found[row.id] = _trade(
                        symbol, row.id, row.price, row.qty, row.time, row.isBuyerMaker
                    )
            first += PAGE
        return found

    async def _ask(self, path: str, params: dict[str, object], weight: int, decoder: Any) -> Any:
        return _decode(path, await self._client.get(path, params, weight=weight), decoder)


def _decode(path: str, body: bytes, decoder: Any) -> Any:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise VenueError(f"{path}: expected rows as documented: {error}"[:300]) from None


def _trade(
    symbol: str, trade_id: int, price: str, quantity: str, time_ms: int, buyer_is_maker: bool
) -> Trade:
    if (
        not POSITIVE.fullmatch(price)
        or not POSITIVE.fullmatch(quantity)
        or not EARLIEST_MS < time_ms < LATEST_MS
    ):
        raise VenueError(f"{symbol}: expected a trade, got {price!r} x {quantity!r} at {time_ms}")
    return Trade(
        symbol=symbol,
        trade_id=trade_id,
        raw_price=price,
        raw_quantity=quantity,
        time_ms=time_ms,
        buyer_is_maker=buyer_is_maker,
        is_late=True,
    )


def _bar(symbol: str, interval: str, row: list[int | str | float]) -> Bar:
    try:
        bar = msgspec.convert(
            {
                "s": symbol,
                "i": interval,
                "t": row[0],
                "o": row[1],
                "h": row[2],
                "l": row[3],
                "c": row[4],
                "v": row[5],
                "T": row[6],
                "n": row[8],
            },
            Bar,
        )
    except (IndexError, msgspec.ValidationError) as error:
        raise VenueError(f"{symbol}: expected a kline row, got {row!r:.200}: {error}") from None
    reason = check_bar(bar, interval, LATEST_MS)
    if reason is not None:
        raise VenueError(f"{symbol}: expected a kline row, got {row!r:.200}: {reason}")
    return bar
