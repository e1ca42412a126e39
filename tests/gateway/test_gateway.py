"""The gateway in virtual time: which orders leave, which do not, and when."""

from decimal import Decimal

import attrs
import pytest
import trio
from trio.testing import MockClock

from levitrio.gateway.order_decision import FLATTEN_WAITS
from levitrio.gateway.symbol_state import Block
from levitrio.records.journal.entries import (
    DayEntry,
    HaltEntry,
    History,
    IntentEntry,
    OpenOrder,
    OutcomeEntry,
)
from levitrio.trading.filters import SymbolFilters, SymbolRules
from levitrio.trading.orders import Order, OrderStatus, Side
from levitrio.trading.risk import Permission, RiskRules, TradingState
from levitrio.venues.base import OrderReport
from tests.factories import make_fill, make_order
from tests.fakes import FakeBroker, FakeJournal
from tests.gateway.harness import FLAT, LONG, SHORT, Harness


async def test_a_long_signal_becomes_a_position(autojump_clock: MockClock) -> None:
    """Size, intent, order, outcome, position and on_fill, in this order and once."""
    harness = Harness()
    async with harness.running():
        harness.admit()(LONG)
        await harness.gateway.drain()
    kinds = [type(entry) for entry in harness.journal.entries if not isinstance(entry, DayEntry)]
    assert kinds == [IntentEntry, OutcomeEntry]
    assert harness.symbol_state.position.quantity == Decimal(20)  # 0.20 of 10,000 at 100
    assert [fill.position for fill in harness.fills] == [Decimal(20)]
    assert len(harness.broker.placed) == 1


async def test_the_intent_is_durable_before_the_send(autojump_clock: MockClock) -> None:
    """At the moment an order arrives at the broker its intent is in the journal."""
    harness = Harness()
    seen: list[int] = []

    def answer(order: Order) -> OrderReport:
        seen.append(len(harness.journal.of(IntentEntry)))
        return harness.broker.filled(order)

    harness.broker.answer = answer
    async with harness.running():
        harness.admit()(LONG)
        await harness.gateway.drain()
    assert seen == [1]


async def test_repeating_the_side_does_nothing(autojump_clock: MockClock) -> None:
    """A signal is a target: a hundred longs are one order."""
    harness = Harness()
    async with harness.running():
        submit = harness.admit()
        for _ in range(100):
            submit(LONG)
        await harness.gateway.drain()
        submit(LONG)
        await harness.gateway.drain()
    assert len(harness.broker.placed) == 1


async def test_the_newest_target_waits_for_the_order_under_way(autojump_clock: MockClock) -> None:
    """While a buy is under way flat, long, flat arrive: only the last one counts afterwards."""
    harness = Harness()
    async with harness.running():
        submit = harness.admit()
        submit(LONG)
        await trio.sleep(0.005)
        for signal in (FLAT, LONG, FLAT):
            submit(signal)
        await harness.gateway.drain()
    assert [order.side for order in harness.broker.placed] == [Side.BUY, Side.SELL]
    assert harness.symbol_state.position.is_flat


async def test_short_is_flat_on_spot(autojump_clock: MockClock) -> None:
    """Short closes a long; when flat already it is denied, and reported once."""
    harness = Harness()
    async with harness.running():
        submit = harness.admit()
        submit(LONG)
        await harness.gateway.drain()
        submit(SHORT)
        await harness.gateway.drain()
        for _ in range(3):
            submit(SHORT)
            await harness.gateway.drain()
    assert harness.symbol_state.position.is_flat
    assert harness.symbol_state.denials == {"short_on_spot": 3}
    assert len(harness.report.of("denied")) == 1


async def test_fifty_racing_engines_keep_the_limit(autojump_clock: MockClock) -> None:
    """Risk counts orders under way: fifty signals at once open exactly max_open_positions."""
    symbols = tuple(f"S{i}USDT" for i in range(50))
    harness = Harness(symbols=symbols, risk=RiskRules(max_gross_exposure=Decimal(100)))
    async with harness.running():
        for submit in [harness.admit(symbol) for symbol in symbols]:
            submit(LONG)
        await harness.gateway.drain()
    assert sum(not state.position.is_flat for state in harness.gateway.symbol_states.values()) == 5


async def test_no_order_without_a_journal(autojump_clock: MockClock) -> None:
    """When an intent cannot be made durable nothing is sent, and the gateway lives on."""
    harness = Harness()
    async with harness.running():
        submit = harness.admit()
        harness.journal.broken = "disk full"
        submit(LONG)
        await harness.gateway.drain()
        assert harness.broker.placed == []
        harness.journal.broken = None
        submit(LONG)
        await harness.gateway.drain()
    assert len(harness.broker.placed) == 1
    assert harness.symbol_state.denials == {"journal": 1}


@pytest.mark.parametrize("how", ["stopped", "halted", "next incarnation", "paused"])
async def test_withdrawn_between_intent_and_send(how: str, autojump_clock: MockClock) -> None:
    """An engine that ends while its intent becomes durable sends nothing; the intent is closed."""
    harness = Harness()
    harness.journal.delay = 1.0
    async with harness.running():
        harness.admit()(LONG)
        await trio.sleep(0.5)
        match how:
            case "stopped":
                harness.gateway.permit("BTCUSDT", Permission.NONE)
            case "halted":
                harness.gateway.account.trading_state = TradingState.HALTED
            case "next incarnation":
                harness.admit(incarnation=2)
            case _:
                harness.gateway.permit("BTCUSDT", Permission.EXITS)
        await harness.gateway.drain()
    assert harness.broker.placed == []
    (outcome,) = harness.journal.of(OutcomeEntry)
    assert isinstance(outcome, OutcomeEntry)
    assert outcome.status is OrderStatus.CANCELED


async def test_a_dead_incarnation_cannot_order(autojump_clock: MockClock) -> None:
    """The submit of an incarnation does nothing once the next one was admitted."""
    harness = Harness()
    async with harness.running():
        old = harness.admit(incarnation=1)
        harness.admit(incarnation=2)
        old(LONG)
        await harness.gateway.drain()
    assert harness.broker.placed == []


async def test_cancelling_an_engine_leaves_its_order_alone(autojump_clock: MockClock) -> None:
    """An order already at the broker is settled and applied although its engine is gone."""
    harness = Harness()
    harness.broker.delay = 5.0
    async with harness.running():
        harness.admit()(LONG)
        await trio.sleep(1.0)
        harness.gateway.permit("BTCUSDT", Permission.NONE)
        await harness.gateway.drain()
    assert harness.symbol_state.position.quantity == Decimal(20)
    assert harness.fills == []


async def test_holding_a_falling_position_trips_the_daily_loss(autojump_clock: MockClock) -> None:
    """Unrealized loss counts: at 3 % of the day's equity the fleet reduces, and exits still go."""
    harness = Harness(risk=RiskRules(price_band=Decimal(1)))
    async with harness.running():
        await trio.sleep(0.6)  # the first look begins the day
        submit = harness.admit()
        submit(LONG)
        await harness.gateway.drain()
        harness.quote("84")  # 20 x 16 = 320 of 10,000
        await trio.sleep(0.6)
        assert harness.gateway.account.trading_state is TradingState.REDUCING
        submit(FLAT)
        await harness.gateway.drain()
        submit(LONG)
        await harness.gateway.drain()
    assert [order.side for order in harness.broker.placed] == [Side.BUY, Side.SELL]
    assert harness.symbol_state.denials == {"reducing": 1}


async def test_a_new_day_releases_the_daily_limit(autojump_clock: MockClock) -> None:
    """00:00 UTC of the market clock ends the reducing of a daily loss; total PnL stays."""
    harness = Harness()
    async with harness.running():
        await trio.sleep(0.6)
        harness.admit()(LONG)
        await harness.gateway.drain()
        harness.quote("84")
        await trio.sleep(0.6)
        harness.market_ms += 86_400_000
        await trio.sleep(0.6)
        assert harness.gateway.account.trading_state is TradingState.ACTIVE
    days = [entry.day for entry in harness.journal.of(DayEntry) if isinstance(entry, DayEntry)]
    assert days == ["1970-01-01", "1970-01-02"]
    position, quote = harness.symbol_state.position, harness.symbol_state.market.quote
    assert position.total_pnl(quote) == position.day_start_pnl == Decimal(-320)


@pytest.mark.parametrize(("on_loss", "flat"), [("halt", False), ("flatten", True)])
async def test_on_loss(on_loss: str, flat: bool, autojump_clock: MockClock) -> None:
    """`halt` keeps the position, `flatten` closes it; both halt, durably."""
    harness = Harness(risk=RiskRules(on_loss=on_loss, price_band=Decimal(1)))  # type: ignore[arg-type]
    async with harness.running():
        await trio.sleep(0.6)
        harness.admit()(LONG)
        await harness.gateway.drain()
        harness.quote("80")
        await trio.sleep(0.6)
        await harness.gateway.drain()
    assert harness.gateway.account.trading_state is TradingState.HALTED
    assert harness.symbol_state.position.is_flat is flat
    (halt,) = harness.journal.of(HaltEntry)
    assert isinstance(halt, HaltEntry)
    assert halt.trading_state == "halted"


async def test_halt_is_in_force_before_it_is_durable(autojump_clock: MockClock) -> None:
    """While the halt is still being written no order leaves."""
    harness = Harness()
    harness.journal.delay = 1.0
    async with harness.running():
        submit = harness.admit()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(harness.gateway.set_trading_state, TradingState.HALTED, "drill")
            await trio.sleep(0.1)
            submit(LONG)
            await harness.gateway.drain()
    assert harness.broker.placed == []
    assert harness.symbol_state.denials == {"halted": 1}


async def test_an_exit_keeps_to_the_venues_steps(autojump_clock: MockClock) -> None:
    """After a fee in coins only whole steps are sold; the dust is said once and is no position."""
    harness = Harness()
    harness.symbol_state.rules = SymbolRules(step=Decimal("0.1"), min_notional=Decimal(5))
    fee = Decimal("0.02")

    def answer(order: Order) -> OrderReport:
        report = harness.broker.filled(order)
        paid = attrs.evolve(report.fills[0], fee=fee, fee_asset="BTC")
        return attrs.evolve(report, fills=(paid if order.side is Side.BUY else report.fills[0],))

    harness.broker.answer = answer
    async with harness.running():
        submit = harness.admit()
        submit(LONG)
        await harness.gateway.drain()
        assert harness.symbol_state.position.quantity == Decimal("19.98")
        for _ in range(3):
            submit(FLAT)
            await harness.gateway.drain()
        assert harness.broker.placed[-1].quantity == Decimal("19.9")
        assert harness.symbol_state.position.quantity == Decimal("0.08")
        assert harness.symbol_state.denials == {"dust": 2}
        assert len(harness.report.of("denied")) == 1
        assert harness.gateway.account.open_positions() == 0
        submit(LONG)
        await harness.gateway.drain()
    assert len(harness.broker.placed) == 3


async def test_an_entry_is_no_larger_than_the_venue_takes(autojump_clock: MockClock) -> None:
    """Sized down to the maximum in silence; denied, with the bounds, when nothing is left."""
    harness = Harness(symbols=("BTCUSDT", "ETHUSDT"))
    harness.symbol_state.rules = SymbolRules(step=Decimal("0.1"), max_quantity=Decimal("7.77"))
    other = harness.gateway.symbol_states["ETHUSDT"]
    other.rules = SymbolRules(step=Decimal("0.1"), max_notional=Decimal(9))
    async with harness.running():
        harness.admit()(LONG)
        harness.admit("ETHUSDT")(LONG)
        await harness.gateway.drain()
    (order,) = harness.broker.placed
    assert order.quantity == Decimal("7.7")
    ((text, engine),) = harness.report.of("denied")
    assert engine == "ETHUSDT"
    assert "at most a worth of 9" in text


@pytest.mark.parametrize("how", ["signal", "flatten"])
async def test_a_large_exit_is_several_orders(how: str, autojump_clock: MockClock) -> None:
    """Each within the maximum, one after the other until flat; also while halted for a flatten."""
    harness = Harness()
    async with harness.running():
        submit = harness.admit()
        submit(LONG)
        await harness.gateway.drain()
        harness.symbol_state.rules = SymbolRules(step=Decimal("0.1"), max_quantity=Decimal(6))
        if how == "flatten":
            await harness.gateway.set_trading_state(TradingState.HALTED, "drill")
            harness.gateway.flatten("BTCUSDT")
        else:
            submit(FLAT)
        await harness.gateway.drain()
    exits = [order.quantity for order in harness.broker.placed[1:]]
    assert exits == [Decimal(5)] * 4
    assert harness.symbol_state.position.is_flat
    assert harness.symbol_state.denials == {}


@pytest.mark.parametrize("how", ["refused", "stopped", "ended", "long again"])
async def test_a_large_exit_that_does_not_go_on(how: str, autojump_clock: MockClock) -> None:
    """A refusal, a stop, the end of the fleet or a newer target: no further order of it leaves."""
    harness = Harness()
    async with harness.running():
        submit = harness.admit()
        submit(LONG)
        await harness.gateway.drain()
        harness.symbol_state.rules = SymbolRules(step=Decimal("0.1"), max_quantity=Decimal(6))

        def answer(order: Order) -> OrderReport:
            match how:
                case "refused":
                    status = OrderStatus.REJECTED
                    return OrderReport(client_id=order.client_id, status=status, reason="no")
                case "stopped":
                    harness.gateway.permit("BTCUSDT", Permission.NONE)
                case "ended":
                    harness.gateway.close()
                case _:
                    submit(LONG)
            return harness.broker.filled(order)

        harness.broker.answer = answer
        submit(FLAT)
        with trio.fail_after(60):
            await harness.gateway.drain()
    assert len(harness.broker.placed) == 2
    assert len(harness.journal.of(IntentEntry)) == 2


async def test_dust_takes_no_place_of_a_position(autojump_clock: MockClock) -> None:
    """Fees in coins leave a remainder in every symbol: it must not fill max_open_positions."""
    harness = Harness(symbols=("BTCUSDT", "ETHUSDT"), risk=RiskRules(max_open_positions=1))
    other = harness.gateway.symbol_states["ETHUSDT"]
    other.rules = SymbolRules(step=Decimal("0.1"), min_notional=Decimal(5))
    other.position.quantity = Decimal("0.08")
    async with harness.running():
        harness.admit()(LONG)
        await harness.gateway.drain()
    assert len(harness.broker.placed) == 1


async def test_the_operator_can_flatten_while_halted(autojump_clock: MockClock) -> None:
    """Nothing else leaves a halted fleet; with nothing to close, flatten says so."""
    harness = Harness()
    async with harness.running():
        submit = harness.admit()
        submit(LONG)
        await harness.gateway.drain()
        await harness.gateway.set_trading_state(TradingState.HALTED, "drill")
        submit(FLAT)
        await harness.gateway.drain()
        assert not harness.symbol_state.position.is_flat
        assert harness.gateway.flatten("BTCUSDT")
        await harness.gateway.drain()
        assert harness.symbol_state.position.is_flat
        assert not harness.gateway.flatten("BTCUSDT")


async def test_a_flatten_leaves_on_stale_data(autojump_clock: MockClock) -> None:
    """The engine's own exit is denied; the operator's goes, and the event says what it is worth."""
    harness = Harness()
    async with harness.running():
        submit = harness.admit()
        submit(LONG)
        await harness.gateway.drain()
        harness.data_age = 45.0
        submit(FLAT)
        await harness.gateway.drain()
        assert harness.symbol_state.denials == {"stale_data": 1}
        assert harness.gateway.flatten("BTCUSDT")
        await harness.gateway.drain()
    assert harness.symbol_state.position.is_flat
    ((text, engine),) = harness.report.of("flatten")
    assert engine == "BTCUSDT"
    assert "last data 45.0 s ago" in text


@pytest.mark.parametrize("opens_after", [600.0, 2 * FLATTEN_WAITS])
async def test_a_flatten_waits_for_the_market(
    opens_after: float, autojump_clock: MockClock
) -> None:
    """It goes when the market opens, unless that is so late that the operator must ask again."""
    harness = Harness()
    async with harness.running():
        submit = harness.admit()
        submit(LONG)
        await harness.gateway.drain()
        harness.gateway.learn_market("BTCUSDT", SymbolFilters(), "HALT")
        submit(FLAT)
        await harness.gateway.drain()
        harness.gateway.flatten("BTCUSDT")
        await harness.gateway.drain()
        assert harness.symbol_state.denials == {"market_closed": 1, "flatten_waits": 1}
        assert "the venue's status is HALT" in harness.report.of("denied")[-1][0]
        await trio.sleep(opens_after)
        assert len(harness.broker.placed) == 1
        for _ in range(2):
            harness.gateway.learn_market("BTCUSDT", SymbolFilters(), "")
            await harness.gateway.drain()
    is_late = opens_after > FLATTEN_WAITS
    assert harness.symbol_state.position.is_flat is not is_late
    assert len(harness.report.of("flatten_forgotten")) == is_late
    assert len(harness.broker.placed) == (1 if is_late else 2)


async def test_signals_only_sends_nothing(autojump_clock: MockClock) -> None:
    """Everything but the order: the signal is sized, judged and denied with what it would do."""
    harness = Harness()
    harness.symbol_state.signals_only = True
    async with harness.running():
        harness.admit()(LONG)
        await harness.gateway.drain()
    assert harness.broker.placed == []
    ((text, _),) = harness.report.of("denied")
    assert text.startswith("signals_only: would BUY 20")


async def test_a_rejected_order_is_an_absorbed_error(autojump_clock: MockClock) -> None:
    """The venue's text is reported, the position is untouched, the engine's count grows."""
    harness = Harness()
    harness.broker.answer = lambda order: OrderReport(
        client_id=order.client_id, status=OrderStatus.REJECTED, reason="Filter failure: LOT_SIZE"
    )
    async with harness.running():
        submit = harness.admit()
        for _ in range(2):
            submit(LONG)
            await harness.gateway.drain()
    assert harness.symbol_state.refused == 2
    assert harness.symbol_state.position.is_flat
    assert harness.report.of("rejected")[0] == ("Filter failure: LOT_SIZE", "BTCUSDT")


async def test_restore_folds_the_journal(autojump_clock: MockClock) -> None:
    """Books come from fills, the trading state from the newest halt."""
    harness = Harness()
    fills = tuple(
        make_fill(
            client_id=client_id,
            price=Decimal(price),
            fee=1,
        )
        for client_id, price in (("a", "90"), ("b", "110"))
    )
    history = History(
        fills=fills,
        trading_state="halted",
        trading_reason="drill",
        days={"BTCUSDT": ("2026-11-22", Decimal(-2))},
    )
    harness.gateway.restore(history)
    position = harness.symbol_state.position
    assert [position.quantity, position.average_entry, position.realized_pnl] == [2, 100, -2]
    assert position.trade_count == 2
    assert position.total_pnl(harness.symbol_state.market.quote) == position.day_start_pnl
    assert harness.gateway.account.trading_state is TradingState.HALTED


async def test_leftovers_are_asked_about(autojump_clock: MockClock) -> None:
    """An intent without an end is queried: adopted if the broker knows it, lost once proven."""
    harness = Harness()
    known, unknown = (
        make_order(
            client_id=client_id,
        )
        for client_id in ("levi-0-1-0", "levi-0-2-0")
    )
    harness.broker.known[known.client_id] = harness.broker.filled(known)
    leftovers = tuple(
        OpenOrder(seq=seq, order=order, status=OrderStatus.INTENDED)
        for seq, order in enumerate((known, unknown))
    )
    harness.gateway.restore(History(open_orders=leftovers))
    began = trio.current_time()
    async with harness.running(ready=False):
        submit = harness.admit()
        submit(FLAT)
        await harness.symbol_state.ready.wait()
        assert trio.current_time() - began >= harness.broker.proof_after
        await harness.gateway.drain()
    outcomes = [e.status for e in harness.journal.of(OutcomeEntry) if isinstance(e, OutcomeEntry)]
    assert outcomes[:2] == [OrderStatus.FILLED, OrderStatus.LOST]
    assert harness.symbol_state.position.is_flat, "the signal waited until the past was known"


async def test_orders_of_another_fleet_are_foreign(autojump_clock: MockClock) -> None:
    """T25: orders of another levitrio on the account are foreign, also when ids look alike."""
    harness = Harness(journal=FakeJournal(token=0xA1))
    async with harness.running():
        harness.admit()(LONG)
        await harness.gateway.drain()
        assert harness.broker.placed[0].client_id == "levi-a1-1-0"
        theirs = OrderReport(client_id="levi-a-1-0", status=OrderStatus.NEW)
        assert harness.broker.tell is not None
        harness.broker.tell("BTCUSDT", theirs)
        assert harness.symbol_state.blocks == {Block.FOREIGN_ORDER}


@pytest.mark.parametrize(
    ("side", "quantity"), [(Side.SELL, "1"), (Side.BUY, "20.1")], ids=["other side", "too much"]
)
async def test_fills_that_an_order_cannot_have(
    side: Side, quantity: str, autojump_clock: MockClock
) -> None:
    """Reported and not applied; the venue is asked, and its answer is applied."""
    harness = Harness(broker=FakeBroker(delay=5.0))
    async with harness.running():
        harness.admit()(LONG)
        await trio.sleep(1)
        order = harness.symbol_state.in_flight
        assert order is not None
        (fill,) = harness.broker.filled(order).fills
        absurd = attrs.evolve(fill, side=side, quantity=Decimal(quantity), trade_id=7)
        report = OrderReport(
            client_id=order.client_id, status=OrderStatus.PARTIALLY_FILLED, fills=(absurd,)
        )
        assert harness.broker.tell is not None
        asked = harness.broker.asked
        harness.broker.tell("BTCUSDT", report)
        await trio.sleep(1)
        assert harness.symbol_state.position.is_flat
        assert len(harness.report.of("quarantine")) == 1
        assert harness.broker.asked == asked + 1
        await harness.gateway.drain()
        assert harness.symbol_state.position.quantity == Decimal(20)
