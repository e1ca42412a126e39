"""Resting entries: priced, counted, filled part by part, and cancelled by engine or operator."""

import random
from collections.abc import Callable
from decimal import Decimal

import pytest
import trio
from trio.testing import MockClock

from levitrio.gateway.order_decision import EntryRules
from levitrio.gateway.symbol_state import Block
from levitrio.records.journal.entries import IntentEntry, OutcomeEntry
from levitrio.records.journal.folding import fold
from levitrio.trading.filters import SymbolRules
from levitrio.trading.market import Quote
from levitrio.trading.orders import Order, OrderStatus, OrderType, Side
from levitrio.trading.risk import Permission, TradingState
from tests.gateway.harness import FLAT, LONG, SHORT, Harness
from tests.gateway.model_journal import ModelDisk, ModelJournal
from tests.gateway.resting_venue import RestingVenue
from tests.gateway.venue_model import ModelVenue

SYMBOL = "BTCUSDT"

LIMIT = EntryRules(type=OrderType.LIMIT, timeout=30.0)
MAKER = EntryRules(type=OrderType.LIMIT_MAKER, timeout=30.0)

SOON = 0.5
"""Seconds in which everything that can happen at once has happened."""


def resting(entry: EntryRules = LIMIT) -> tuple[Harness, RestingVenue]:
    """A gateway whose entries rest; the market is 100/100.1."""
    venue = RestingVenue()
    harness = Harness(venue=venue, entry=entry)
    harness.symbol_state.market.see(Quote.of(SYMBOL, "100", "100.1"))
    return harness, venue


def intents(harness: Harness) -> list[Order]:
    return [e.order for e in harness.journal.of(IntentEntry) if isinstance(e, IntentEntry)]


def outcomes(harness: Harness) -> list[OrderStatus]:
    return [e.status for e in harness.journal.of(OutcomeEntry) if isinstance(e, OutcomeEntry)]


@pytest.mark.parametrize("entry", [LIMIT, MAKER], ids=["limit", "limit_maker"])
async def test_an_entry_rests_at_the_bid(entry: EntryRules, autojump_clock: MockClock) -> None:
    """The price is the bid, down to the tick; the quantity what the money buys there, in steps."""
    harness, venue = resting(entry)
    harness.symbol_state.limit_rules = SymbolRules(tick=Decimal("0.25"), step=Decimal("0.1"))
    harness.symbol_state.market.see(Quote.of(SYMBOL, "99.9", "100.1"))
    async with harness.running():
        harness.admit()(LONG)
        await trio.sleep(SOON)
        (order,) = venue.open
        assert (order.type, order.side) == (entry.type, Side.BUY)
        assert order.price == Decimal("99.75")
        assert order.quantity == Decimal("20.0")  # 2,000 / 99.75 = 20.05
        assert not order.is_exit
        assert harness.symbol_state.in_flight == order


@pytest.mark.parametrize(("least", "leaves"), [("1995", True), ("1995.01", False)])
async def test_the_smallest_order_is_judged_at_its_price(
    least: str, leaves: bool, autojump_clock: MockClock
) -> None:
    """What is too little at the bid would be enough at the ask, and is not sent."""
    harness, venue = resting()
    harness.symbol_state.limit_rules = SymbolRules(step=Decimal("0.1"), min_notional=Decimal(least))
    harness.symbol_state.market.see(Quote.of(SYMBOL, "99.75", "99.9"))
    async with harness.running():
        harness.admit()(LONG)
        await trio.sleep(SOON)
    assert bool(venue.orders) is leaves
    assert harness.symbol_state.denials == ({} if leaves else {"min_notional": 1})


async def test_a_bid_below_the_tick_is_no_price(autojump_clock: MockClock) -> None:
    """Rounded down nothing is left of it: a denial, not an order at 0."""
    harness, venue = resting()
    harness.symbol_state.limit_rules = SymbolRules(tick=Decimal(1_000))
    async with harness.running():
        harness.admit()(LONG)
        await trio.sleep(SOON)
    assert venue.orders == {}
    assert harness.symbol_state.denials == {"tick": 1}


async def test_risk_counts_what_may_still_be_bought(autojump_clock: MockClock) -> None:
    """The entry counts at its limit from the decision on; what has filled counts as position."""
    harness, venue = resting()
    account = harness.gateway.account
    async with harness.running():
        harness.admit()(LONG)
        assert account.open_positions() == 0
        await trio.sleep(SOON)
        assert account.open_positions() == 1
        assert account.gross_notional() == Decimal(2_000)
        harness.symbol_state.market.see(Quote.of(SYMBOL, "90", "90.1"))
        assert account.gross_notional() == Decimal(2_000)  # 20 at 100, wherever the market is
        venue.fill(Decimal(5))
        await trio.sleep(SOON)
        assert account.gross_notional() == 15 * 100 + 5 * 90
        venue.fill()
        await harness.gateway.drain()
        assert account.gross_notional() == 20 * 90


async def test_parts_are_applied_as_they_come(autojump_clock: MockClock) -> None:
    """Each part reaches position and engine at once; the last one ends the order."""
    harness, venue = resting()
    async with harness.running():
        harness.admit()(LONG)
        await trio.sleep(SOON)
        for part in ("3", "7"):
            venue.fill(Decimal(part))
            await trio.sleep(SOON)
        assert [fill.position for fill in harness.fills] == [Decimal(3), Decimal(10)]
        assert harness.symbol_state.in_flight is not None
        venue.fill()
        await trio.sleep(SOON)
        assert harness.symbol_state.in_flight is None
    assert harness.symbol_state.position.quantity == Decimal(20)
    assert outcomes(harness)[-1] is OrderStatus.FILLED


async def test_fills_that_were_not_pushed_are_found(autojump_clock: MockClock) -> None:
    """The user stream is silent: the order is asked about, and each fill is applied once."""
    harness, venue = resting()
    venue.tells = False
    async with harness.running():
        harness.admit()(LONG)
        await trio.sleep(SOON)
        venue.fill(Decimal(5))
        await trio.sleep(10)
        assert harness.symbol_state.position.quantity == Decimal(5)
        before = len(harness.journal.of(OutcomeEntry))
        await trio.sleep(10)  # asked again and again, with the same answer
        assert len(harness.journal.of(OutcomeEntry)) == before
        venue.fill()
        await harness.gateway.drain()
    assert harness.symbol_state.position.quantity == Decimal(20)


async def test_the_same_target_keeps_it(autojump_clock: MockClock) -> None:
    """A strategy that says long each second has one order, not one after the other."""
    harness, venue = resting()
    async with harness.running():
        submit = harness.admit()
        for _ in range(20):
            submit(LONG)
            await trio.sleep(1)
        (order,) = venue.orders.values()
        assert venue.open == [order]
        venue.fill()
        await harness.gateway.drain()
    assert len(venue.orders) == 1


@pytest.mark.parametrize("bought", ["0", "5"])
async def test_an_entry_expires(bought: str, autojump_clock: MockClock) -> None:
    """After its time it is cancelled and reported; fills stay, and nothing is retried."""
    harness, venue = resting()
    async with harness.running():
        submit = harness.admit()
        submit(LONG)
        await trio.sleep(29)
        if bought != "0":
            venue.fill(Decimal(bought))
        submit(LONG)
        assert venue.cancels == []
        await trio.sleep(1.5)
        assert venue.open == []
        assert harness.symbol_state.in_flight is None
        await trio.sleep(100)
    assert len(venue.orders) == 1
    assert harness.symbol_state.position.quantity == venue.position == Decimal(bought)
    text = f"{bought} of 20 bought at 100 in 30 s, the rest cancelled"
    assert harness.report.of("entry_expired") == [(text, SYMBOL)]
    assert outcomes(harness)[-1] is OrderStatus.CANCELED


async def test_filled_at_the_last_moment_is_not_expired(autojump_clock: MockClock) -> None:
    """The fill overtakes the cancel: it is a position, and no expiry is reported."""
    harness, venue = resting()
    venue.delay = 0.2
    async with harness.running():
        harness.admit()(LONG)
        await trio.sleep(30.1)  # the cancel is on its way
        venue.fill()
        await harness.gateway.drain()
    assert harness.symbol_state.position.quantity == Decimal(20)
    assert harness.report.of("entry_expired") == []
    assert outcomes(harness)[-1] is OrderStatus.FILLED


async def test_a_maker_that_would_take_is_missed(autojump_clock: MockClock) -> None:
    """The refusal is an answer: a denial, no error of the engine, and no order by itself."""
    harness, venue = resting(MAKER)
    venue.refusal = "-2010 Order would immediately match and take."
    async with harness.running():
        submit = harness.admit()
        for _ in range(12):  # more than max_errors
            submit(LONG)
            await harness.gateway.drain()
        await trio.sleep(60)
        assert harness.symbol_state.denials == {"entry_missed": 12}
        assert harness.symbol_state.refused == 0
        assert len(harness.report.of("denied")) == 1
        assert harness.report.of("rejected") == []
        assert len(intents(harness)) == 12
        venue.refusal = ""
        submit(LONG)
        await trio.sleep(SOON)
    assert len(venue.open) == 1


async def test_other_refusals_are_errors_still(autojump_clock: MockClock) -> None:
    """-2010 has many reasons: too little money counts as an error of the engine."""
    harness, venue = resting(MAKER)
    venue.refusal = "-2010 Account has insufficient balance for requested action."
    async with harness.running():
        harness.admit()(LONG)
        await harness.gateway.drain()
    assert harness.symbol_state.refused == 1
    assert harness.report.of("rejected") == [(venue.refusal, SYMBOL)]


@pytest.mark.parametrize("bought", ["0", "5"])
async def test_another_target_cancels_it(bought: str, autojump_clock: MockClock) -> None:
    """Flat while a long rests: cancelled at once, then what was bought is sold at the market."""
    harness, venue = resting()
    async with harness.running():
        submit = harness.admit()
        submit(LONG)
        await trio.sleep(SOON)
        if bought != "0":
            venue.fill(Decimal(bought))
            await trio.sleep(SOON)
        submit(FLAT)
        await trio.sleep(0.1)
        assert venue.open == []
        await harness.gateway.drain()
    assert venue.position == harness.symbol_state.position.quantity == 0
    exits = [order for order in venue.orders.values() if order.is_exit]
    assert [(each.type, each.price) for each in exits] == (
        [] if bought == "0" else [(OrderType.MARKET, None)]
    )
    assert harness.report.of("entry_expired") == []


async def test_short_cancels_it_and_is_denied(autojump_clock: MockClock) -> None:
    """On spot short means flat: the entry is cancelled, and no coin is sold that is not held."""
    harness, venue = resting()
    async with harness.running():
        submit = harness.admit()
        submit(LONG)
        await trio.sleep(SOON)
        submit(SHORT)
        await harness.gateway.drain()
    assert venue.open == []
    assert harness.symbol_state.denials == {"short_on_spot": 1}


async def test_filled_while_it_is_cancelled(autojump_clock: MockClock) -> None:
    """The fill overtakes the cancel: everything is sold, once."""
    harness, venue = resting()
    venue.delay = 0.2
    async with harness.running():
        submit = harness.admit()
        submit(LONG)
        await trio.sleep(1)
        submit(FLAT)
        await trio.sleep(0.1)
        venue.fill()
        await harness.gateway.drain()
    assert [order.side for order in venue.orders.values()] == [Side.BUY, Side.SELL]
    assert venue.position == harness.symbol_state.position.quantity == 0
    assert len(harness.fills) == 2


async def test_a_change_of_mind_is_decided_anew(autojump_clock: MockClock) -> None:
    """Long, flat, long: the first entry goes, a second one is made at the bid of now."""
    harness, venue = resting()
    async with harness.running():
        submit = harness.admit()
        submit(LONG)
        await trio.sleep(SOON)
        harness.symbol_state.market.see(Quote.of(SYMBOL, "101", "101.1"))
        submit(FLAT)
        submit(LONG)
        await trio.sleep(SOON)
        (order,) = venue.open
        assert order.price == Decimal(101)
    assert len(venue.orders) == 2


async def test_withdrawn_before_it_was_sent(autojump_clock: MockClock) -> None:
    """Flat while the intent becomes durable: the order never leaves, and its intent is closed."""
    harness, venue = resting()
    harness.journal.delay = 1.0
    async with harness.running():
        submit = harness.admit()
        submit(LONG)
        await trio.sleep(0.5)
        submit(FLAT)
        await harness.gateway.drain()
    assert venue.orders == {}
    assert outcomes(harness) == [OrderStatus.CANCELED]


async def pause(harness: Harness) -> None:
    harness.gateway.permit(SYMBOL, Permission.EXITS)


async def stop(harness: Harness) -> None:
    harness.gateway.permit(SYMBOL, Permission.NONE)


async def crash(harness: Harness) -> None:
    harness.gateway.permit(SYMBOL, Permission.NONE)
    harness.admit(incarnation=2)


async def reduce(harness: Harness) -> None:
    await harness.gateway.set_trading_state(TradingState.REDUCING, "drill")


async def reduce_without_a_journal(harness: Harness) -> None:
    harness.journal.broken = "disk full"
    await harness.gateway.control.force_trading_state(TradingState.REDUCING, "drill")
    harness.journal.broken = None


async def halt(harness: Harness) -> None:
    await harness.gateway.set_trading_state(TradingState.HALTED, "drill")


async def end(harness: Harness) -> None:
    harness.gateway.close()


@pytest.mark.parametrize(
    "word",
    [pause, stop, crash, reduce, reduce_without_a_journal, halt, end],
    ids=lambda w: w.__name__,
)
async def test_whatever_ends_entries_cancels_it(
    word: Callable[[Harness], object], autojump_clock: MockClock
) -> None:
    """Within a tenth of a second nothing rests at the venue; what was bought is kept."""
    harness, venue = resting()
    async with harness.running():
        harness.admit()(LONG)
        await trio.sleep(3)
        venue.fill(Decimal(5))
        await trio.sleep(SOON)
        await word(harness)  # type: ignore[misc]
        await trio.sleep(0.1)
        assert venue.open == []
        await harness.gateway.drain()
        await trio.sleep(60)
    assert len(venue.orders) == 1
    assert harness.symbol_state.position.quantity == venue.position == Decimal(5)
    assert fold(harness.journal.entries).open_orders == ()


async def test_a_cancel_is_tried_until_it_arrives(autojump_clock: MockClock) -> None:
    """Halted while the venue cannot be reached: the order is cancelled once it can."""
    harness, venue = resting()
    async with harness.running():
        harness.admit()(LONG)
        await trio.sleep(SOON)
        venue.is_deaf = True
        await halt(harness)
        await trio.sleep(60)
        assert len(venue.open) == 1
        venue.is_deaf = False
        await trio.sleep(6)
        assert venue.open == []
        assert harness.symbol_state.in_flight is None
        assert Block.UNKNOWN_OUTCOME not in harness.symbol_state.blocks


async def test_the_operators_flatten_takes_it_along(autojump_clock: MockClock) -> None:
    """The entry is cancelled, what it has bought is sold; nothing comes after."""
    harness, venue = resting()
    async with harness.running():
        harness.admit()(LONG)
        await trio.sleep(SOON)
        venue.fill(Decimal(5))
        await trio.sleep(SOON)
        assert harness.gateway.flatten(SYMBOL)
        await harness.gateway.drain()
        assert venue.open == []
        assert venue.position == harness.symbol_state.position.quantity == 0
    assert [order.type for order in venue.orders.values()] == [OrderType.LIMIT, OrderType.MARKET]


async def test_after_a_kill_it_is_cancelled_at_the_start(autojump_clock: MockClock) -> None:
    """The next process finds the order resting and partly filled: applied, cancelled, closed."""
    disk, venue = ModelDisk(), RestingVenue()

    def start() -> Harness:
        journal = ModelJournal(disk, ModelVenue(random.Random(1)))
        harness = Harness(venue=venue, entry=LIMIT, journal=journal)  # type: ignore[arg-type]
        harness.symbol_state.market.see(Quote.of(SYMBOL, "100", "100.1"))
        harness.gateway.restore(fold(disk.entries))
        return harness

    harness = start()
    async with harness.running():
        harness.admit()(LONG)
        await trio.sleep(SOON)
        venue.fill(Decimal(5))
        await trio.sleep(SOON)
    venue.take = None
    venue.fill(Decimal(2))  # without a fleet that listens
    again = start()
    async with again.running():
        await again.gateway.drain()
        assert venue.open == []
        assert again.symbol_state.position.quantity == venue.position == Decimal(7)
        assert "order_closed" in again.report.kinds()
        assert fold(disk.entries).open_orders == ()
        again.admit()(FLAT)
        await again.gateway.drain()
    assert venue.position == 0
