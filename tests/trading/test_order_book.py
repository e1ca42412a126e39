"""The local order book, by its rules and against real recordings."""

import json
from bisect import bisect_right
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from levitrio.trading import order_book as module
from levitrio.trading.order_book import (
    DepthSnapshot,
    DepthUpdate,
    OrderBook,
    OrderBookFault,
    OrderBookState,
)
from tests.trading.recorded import lines_of

Top = tuple[tuple[Decimal, Decimal] | None, tuple[Decimal, Decimal] | None]


def update(
    first: int, final: int, bids: object = (), asks: object = (), *, time_ms: int = 1
) -> DepthUpdate:
    data = {"s": "BTCUSDT", "U": first, "u": final, "E": time_ms, "b": bids, "a": asks}
    return msgspec.convert(data, DepthUpdate)


def snapshot(last_id: int = 10) -> DepthSnapshot:
    return DepthSnapshot(
        last_id=last_id, bids=[("99", "1"), ("98.5", "2")], asks=[("100", "3"), ("101", "4")]
    )


def live_order_book() -> OrderBook:
    order_book = OrderBook("BTCUSDT")
    assert order_book.load(snapshot())
    return order_book


def test_snapshot_then_updates() -> None:
    """Levels are set, replaced and removed; the best are at the front."""
    order_book = live_order_book()
    assert (
        order_book.update(update(11, 12, [("99.5", "7"), ("98.5", "0.000")], [("100", "0")]))
        is None
    )
    assert order_book.bids(1) == [(Decimal("99.5"), Decimal(7))]
    assert order_book.asks(1) == [(Decimal(101), Decimal(4))]
    assert order_book.bids() == [(Decimal("99.5"), Decimal(7)), (Decimal(99), Decimal(1))]
    assert order_book.asks(1) == [(Decimal(101), Decimal(4))]
    assert order_book.last_id == 12
    assert order_book.update(update(13, 13, [("55", "0")])) is None  # a level we never knew


def test_the_same_price_in_other_words() -> None:
    """99 and 99.00 are one level."""
    order_book = live_order_book()
    order_book.update(update(11, 11, [("99.00", "0.0")]))
    assert order_book.bids(1) == [(Decimal("98.5"), Decimal(2))]


def test_updates_wait_for_their_snapshot() -> None:
    """What came before is kept, what the snapshot knows already is dropped, the rest applied."""
    order_book = OrderBook("BTCUSDT")
    order_book.update(update(5, 8, [("97", "9")]))
    order_book.update(update(9, 11, [("99", "5")]))
    order_book.update(update(12, 13, (), [("100", "6")]))
    assert (order_book.state, order_book.bids(1)) == (OrderBookState.WAITING, [])
    assert order_book.load(snapshot(10))
    assert order_book.is_live
    assert order_book.bids(1) == [(Decimal(99), Decimal(5))]
    assert order_book.asks(1) == [(Decimal(100), Decimal(6))]
    assert [price for price, _ in order_book.bids()] == [Decimal(99), Decimal("98.5")]


def test_a_snapshot_that_is_too_old() -> None:
    """Older than the first update that waits: another must be fetched, and nothing was lost."""
    order_book = OrderBook("BTCUSDT")
    order_book.update(update(20, 21))
    assert not order_book.load(snapshot(18))
    assert order_book.load(snapshot(19))
    assert order_book.last_id == 21


def test_a_gap_discards_the_order_book() -> None:
    """The update that proves the gap waits for the next snapshot."""
    order_book = live_order_book()
    assert order_book.update(update(12, 13, [("99", "8")])) is OrderBookFault.GAP
    assert (order_book.is_live, order_book.asks(1), order_book.last_id) == (False, [], -1)
    assert order_book.load(snapshot(12))
    assert order_book.bids(1) == [(Decimal(99), Decimal(8))]


def test_repeats_and_overlaps() -> None:
    """What ends at or before the last id is dropped; what overlaps it is applied."""
    order_book = live_order_book()
    assert order_book.update(update(9, 10, [("99", "0")])) is None
    assert order_book.bids(1) == [(Decimal(99), Decimal(1))]
    assert order_book.update(update(9, 11, [("99", "0")])) is None
    assert order_book.bids(1) == [(Decimal("98.5"), Decimal(2))]


@pytest.mark.parametrize("touching", ["100", "100.5"])
def test_never_crossed(touching: str) -> None:
    """A bid at or above the ask proves that the order book is wrong."""
    order_book = live_order_book()
    assert order_book.update(update(11, 11, [(touching, "1")])) is OrderBookFault.CROSSED
    assert order_book.bids(1) == []
    crossed = DepthSnapshot(last_id=20, bids=[("5", "1")], asks=[("5", "1")])
    assert not order_book.load(crossed)
    assert not order_book.is_live


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither an order book nor the updates kept for one grow without end."""
    monkeypatch.setattr(module, "MAX_LEVELS", 3)
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    order_book = live_order_book()
    assert order_book.update(update(11, 11, [("1", "1"), ("2", "1")])) is OrderBookFault.TOO_LARGE
    for n in (20, 21, 22):
        order_book.update(update(n, n))
    assert not order_book.load(snapshot(19))
    assert order_book.load(snapshot(20))


def test_a_snapshot_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot of 100,000 levels is refused, and so is an unsorted and crossed one."""
    levels = [(f"{n}.5", "1") for n in range(1, 100_001)]
    order_book = OrderBook("BTCUSDT")
    assert not order_book.load(DepthSnapshot(last_id=1, bids=levels, asks=[]))
    assert not order_book.load(
        DepthSnapshot(last_id=1, bids=[("1", "1"), ("9", "1")], asks=[("8", "1")])
    )
    assert not order_book.is_live
    monkeypatch.setattr(module, "MAX_LEVELS", 3)
    assert order_book.load(
        DepthSnapshot(last_id=1, bids=[("1", "1"), ("1.0", "2"), ("7", "3")], asks=[])
    )
    assert order_book.bids() == [(Decimal(7), Decimal(3)), (Decimal(1), Decimal(2))]
    assert order_book.asks(1) == []


def test_ids_that_begin_anew() -> None:
    """Low ids a minute later are a new count and ask for a snapshot; repeats never do."""
    margin = module.RESTART_MARGIN_MS
    order_book = OrderBook("BTCUSDT")
    for n in range(11, 14):
        order_book.update(update(n, n, time_ms=1 + n * margin))
    assert order_book.load(snapshot(13)), (
        "what waited for minutes is older than the snapshot, and fine"
    )
    at = 1 + 13 * margin
    assert order_book.update(update(14, 14, time_ms=at)) is None
    assert [order_book.update(update(3, 4, time_ms=at + margin)) for _ in range(10)] == [None] * 10
    assert order_book.update(update(3, 4, time_ms=at + margin + 1)) is OrderBookFault.RESTARTED
    assert not order_book.is_live
    assert order_book.load(snapshot(3))
    assert order_book.last_id == 4


def test_restart() -> None:
    """After a break the order book waits for a snapshot."""
    order_book = live_order_book()
    order_book.restart()
    order_book.restart()
    assert not order_book.is_live


@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(1, 20), st.sampled_from(["0", "0.00", "1", "2.5"])),
        max_size=60,
    )
)
def test_as_a_plain_mapping(changes: list[tuple[bool, int, str]]) -> None:
    """Both sides always are what two dictionaries would be."""
    order_book = OrderBook("BTCUSDT")
    order_book.load(DepthSnapshot(last_id=0, bids=[], asks=[]))
    bids: dict[int, Decimal] = {}
    asks: dict[int, Decimal] = {}
    for n, (is_bid, price, quantity) in enumerate(changes, 1):
        side, level = (bids, price) if is_bid else (asks, price + 20)
        side[level] = Decimal(quantity)
        change = [(str(level), quantity)]
        assert order_book.update(update(n, n, *([change, ()] if is_bid else [(), change]))) is None
    assert dict(order_book.bids()) == {p: q for p, q in bids.items() if q}
    assert dict(order_book.asks()) == {p: q for p, q in asks.items() if q}
    assert order_book.asks() == sorted(order_book.asks())


class Comparison:
    """An order book beside the quotes of the same stream."""

    def __init__(self, symbol: str) -> None:
        self.order_book = OrderBook(symbol)
        self.quotes: dict[int, Top] = {}
        self.tops: dict[int, Top] = {}
        self.faults: list[OrderBookFault] = []

    def see(self, stream: str, data: dict[str, Any]) -> None:
        if "@depth" in stream:
            fault = self.order_book.update(msgspec.convert(data, DepthUpdate))
            if fault is not None:
                self.faults.append(fault)
            if self.order_book.is_live:
                bids, asks = self.order_book.bids(1), self.order_book.asks(1)
                self.tops[self.order_book.last_id] = (bids[0], asks[0])
        elif "@bookTicker" in stream:
            bid = Decimal(data["b"]), Decimal(data["B"])
            self.quotes[data["u"]] = (bid, (Decimal(data["a"]), Decimal(data["A"])))

    def unequal(self) -> tuple[int, int]:
        """(compared, unequal): after each update, the top and the newest quote up to its id."""
        ids = sorted(self.quotes)
        known = [(u, top, bisect_right(ids, u) - 1) for u, top in self.tops.items()]
        pairs = [(top, self.quotes[ids[i]]) for _, top, i in known if i >= 0]
        return len(pairs), sum(ours != theirs for ours, theirs in pairs)

    def unequal_at_common_ids(self) -> tuple[int, int]:
        common = self.quotes.keys() & self.tops.keys()
        return len(common), sum(self.tops[u] != self.quotes[u] for u in common)


@pytest.mark.parametrize(
    ("symbol", "updates", "common"), [("btcusdt", 3448, 564), ("ethusdt", 3432, 577)]
)
def test_rebuilt_from_real_recordings(symbol: str, updates: int, common: int) -> None:
    """Thousands of updates: the top is the quote of the same id, no gap, never crossed.

    Every update from the snapshot on is compared with the newest quote up to its id, and every id
    that both streams have. The recording of the day after, with the two quotes that came late, is
    not part of the shared data.
    """
    comparison = Comparison(symbol.upper())
    for line in lines_of(f"hftbacktest/{symbol}_20240808.gz"):
        frame = json.loads(line.partition(" ")[2])
        if "lastUpdateId" in frame:
            assert comparison.order_book.load(msgspec.convert(frame, DepthSnapshot))
        else:
            comparison.see(frame["stream"], frame["data"])
    assert comparison.faults == []
    assert comparison.unequal() == (updates, 0)
    assert comparison.unequal_at_common_ids() == (common, 0)


@pytest.mark.parametrize("name", ["BINANCE_2021-10-11", "BINANCE_US_2021-10-11"])
def test_rebuilt_from_other_recordings(name: str) -> None:
    """Snapshots as they were fetched while the stream ran: every comparison is equal."""
    snapshots: list[tuple[float, str, str]] = []
    for line in lines_of(f"cryptofeed/{name}.depth_snapshots.http.gz"):
        url, _, rest = line.partition(" -> ")
        if "/depth?" in url:
            time, _, text = rest.partition(": ")
            snapshots.append((float(time), url.split("symbol=")[1].split("&")[0], text))
    comparisons = {symbol: Comparison(symbol) for _, symbol, _ in snapshots}
    for line in lines_of(f"cryptofeed/{name}.ws.gz"):
        time, _, text = line.partition(": ")
        if not text:
            continue  # the address
        while snapshots and snapshots[0][0] <= float(time):
            _, symbol, body = snapshots.pop(0)
            comparisons[symbol].order_book.load(msgspec.json.decode(body, type=DepthSnapshot))
        frame = json.loads(text)
        comparisons[frame["data"]["s"]].see(frame["stream"], frame["data"])
    assert len(comparisons) == 4
    assert [c.faults for c in comparisons.values()] == [[]] * 4
    assert all(c.order_book.is_live for c in comparisons.values())
    totals = [c.unequal() for c in comparisons.values()]
    assert sum(compared for compared, _ in totals) > 150
    assert sum(unequal for _, unequal in totals) == 0
    at_ids = [c.unequal_at_common_ids() for c in comparisons.values()]
    assert sum(compared for compared, _ in at_ids) > 20
    assert sum(unequal for _, unequal in at_ids) == 0
