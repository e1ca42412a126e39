"""What the account holds besides what was traded: read, seen twice, and no gain or loss."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from levitrio.gateway.account import Account
from levitrio.gateway.balance_monitor import CONFIRM, PATIENCE, PERIOD, BalanceMonitor
from levitrio.gateway.symbol_state import Block, SymbolState
from levitrio.trading.market import Quote
from levitrio.trading.market_view import MarketView
from levitrio.trading.orders import Side
from levitrio.trading.position import Position
from levitrio.trading.risk import TradingState
from tests.factories import make_fill
from tests.fakes import FakeBroker, FakeReport

TENTHS = st.decimals(min_value="0.1", max_value="1000", places=1)


def symbol_state_of(symbol: str = "BTCUSDT") -> SymbolState:
    market = MarketView(symbol=symbol)
    market.see(Quote.of(symbol, "100", "100"))
    state = SymbolState(
        symbol=symbol, position=Position(symbol=symbol, quote_asset="USDT"), market=market
    )
    state.unblock(Block.RECONCILING)
    return state


@attrs.define(eq=False)
class Harness:
    """A balance monitor over one symbol; `held` are the venue's balances."""

    known: Decimal = Decimal(0)
    """Capital that an earlier run has left."""
    held: dict[str, Decimal] = attrs.field(factory=dict)
    symbol_state: SymbolState = attrs.field(factory=symbol_state_of)
    broker: FakeBroker = attrs.field(factory=FakeBroker)
    report: FakeReport = attrs.field(factory=FakeReport)
    recorded: int = 0
    halts: list[str] = attrs.field(factory=list)
    account: Account = attrs.field(init=False)
    monitor: BalanceMonitor = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.broker.held = self.held
        self.account = Account(
            symbol_states={self.symbol_state.symbol: self.symbol_state},
            name="fake",
            capital=self.known,
            is_capital_known=False,
        )
        self.account.peak_equity = self.account.equity()
        self.monitor = BalanceMonitor(
            account=self.account,
            broker=self.broker,
            quote_asset="USDT",
            cash=self.known,
            control=self,
            report=self.report,
        )

    def halt_soon(self, reason: str) -> None:
        self.halts.append(reason)

    async def force_trading_state(self, state: TradingState, reason: str) -> None:
        raise NotImplementedError

    def flatten_all(self) -> None:
        raise NotImplementedError

    async def record_equity(self, rolled: Sequence[SymbolState] = ()) -> None:
        self.recorded += 1

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.monitor.run)
            await trio.sleep(0.05)
            yield
            nursery.cancel_scope.cancel()


async def test_the_first_reading_is_believed_at_once(autojump_clock: MockClock) -> None:
    """Nothing was known before: the venue's balance is the capital, and it is made durable."""
    harness = Harness(held={"USDT": Decimal(2_500), "BTC": Decimal(3)})
    assert not harness.account.is_capital_known
    async with harness.running():
        assert harness.account.is_capital_known
        assert harness.account.equity() == harness.account.peak_equity == Decimal(2_500)
        assert harness.account.day_start_equity() == Decimal(2_500)
        assert harness.recorded == 1
        assert harness.report.kinds() == ["capital"]


async def test_what_our_fills_moved_is_no_capital(autojump_clock: MockClock) -> None:
    """An account of 10,000 that bought for 3,000 holds 7,000, and its capital is 10,000."""
    harness = Harness(known=Decimal(10_000), held={"USDT": Decimal("6999.97"), "BTC": Decimal(30)})
    harness.symbol_state.apply(make_fill(quantity="30", fee="0.03"))
    async with harness.running():
        await trio.sleep(3 * PERIOD)
        assert harness.account.capital == Decimal(10_000)
        assert harness.account.is_capital_known
        assert harness.recorded == 0
        assert harness.report.kinds() == []


@pytest.mark.parametrize(("change", "word"), [("5000", "put in"), ("-5000", "taken out")])
async def test_a_deposit_is_no_gain_and_a_withdrawal_no_loss(
    change: str, word: str, autojump_clock: MockClock
) -> None:
    """Seen twice it counts; an account 2 % down stays 2 % down."""
    harness = Harness(known=Decimal(10_000), held={"USDT": Decimal(10_000)})
    harness.symbol_state.apply(make_fill(quantity="10"))
    harness.held.update({"USDT": Decimal(9_000), "BTC": Decimal(10)})
    harness.symbol_state.market.see(Quote.of("BTCUSDT", "80", "80"))
    account = harness.account
    assert account.equity() == Decimal(9_800)
    async with harness.running():
        harness.held["USDT"] += Decimal(change)
        await trio.sleep(PERIOD + 1)
        assert account.capital == Decimal(10_000)  # once is not enough
        await trio.sleep(CONFIRM)
        assert account.capital == Decimal(10_000) + Decimal(change)
        assert account.equity() == Decimal(9_800) + Decimal(change)
        for reference in (account.day_start_equity(), account.peak_equity):
            assert round((reference - account.equity()) / reference, 20) == Decimal("0.02")
        ((text, _),) = harness.report.of("capital")
        assert text.startswith(f"5000 USDT {word}: ")
        assert harness.recorded == 1


async def test_a_fill_on_its_way_is_no_deposit(autojump_clock: MockClock) -> None:
    """The venue knows of a sale a moment before we do: the second look sees no difference."""
    harness = Harness(known=Decimal(10_000), held={"USDT": Decimal(7_000), "BTC": Decimal(30)})
    harness.symbol_state.apply(make_fill(quantity="30"))
    async with harness.running():
        harness.held.update({"USDT": Decimal(10_000), "BTC": Decimal(0)})
        await trio.sleep(PERIOD + 1)
        harness.symbol_state.apply(make_fill(Side.SELL, "30", client_id="levi-0-2-0"))
        await trio.sleep(3 * PERIOD)
        assert harness.account.capital == Decimal(10_000)
        assert harness.report.kinds() == []
        assert not harness.symbol_state.blocks


async def test_a_fill_during_the_question_is_asked_about_again(autojump_clock: MockClock) -> None:
    """An answer that may be of before or of after a fill means nothing."""
    harness = Harness(held={"USDT": Decimal(10_000)})
    harness.broker.delay = 0.2
    async with harness.running():
        await trio.sleep(0.1)
        harness.symbol_state.apply(make_fill(quantity="30"))
        assert not harness.account.is_capital_known
        harness.broker.held = {"USDT": Decimal(7_000), "BTC": Decimal(30)}
        await trio.sleep(5)
        assert harness.account.capital == Decimal(10_000)


async def test_it_waits_for_orders_of_unknown_outcome(autojump_clock: MockClock) -> None:
    """But not for ever: one symbol that is never compared must not stop the others."""
    harness = Harness(held={"USDT": Decimal(10_000)})
    harness.symbol_state.block(Block.UNKNOWN_OUTCOME)
    async with harness.running():
        await trio.sleep(PATIENCE - 1)
        assert not harness.account.is_capital_known
        await trio.sleep(2)
        assert harness.account.is_capital_known


async def test_a_venue_that_cannot_be_asked_is_asked_again(autojump_clock: MockClock) -> None:
    """Until it answers nothing is known; a failed question is not "nothing there"."""
    harness = Harness(held={"USDT": Decimal(10_000)})
    harness.broker.unavailable = "no connection"
    async with harness.running():
        await trio.sleep(10)
        assert not harness.account.is_capital_known
        assert "balances_unread" in harness.report.kinds()
        harness.broker.unavailable = None
        await trio.sleep(30)
        assert harness.account.capital == Decimal(10_000)


async def test_coins_that_are_gone_stop_their_symbol(autojump_clock: MockClock) -> None:
    """Reported once; no order leaves, and trading goes on when they are back."""
    harness = Harness(known=Decimal(10_000), held={"USDT": Decimal(7_000), "BTC": Decimal(30)})
    harness.symbol_state.apply(make_fill(quantity="30"))
    async with harness.running():
        harness.held["BTC"] = Decimal(29)
        await trio.sleep(PERIOD + 1)
        assert not harness.symbol_state.blocks
        await trio.sleep(CONFIRM + 2 * PERIOD)
        assert harness.symbol_state.blocks == {Block.MISSING_BALANCE}
        assert harness.report.kinds() == ["balance_missing"]
        harness.held["BTC"] = Decimal(31)
        await trio.sleep(PERIOD + 2 * CONFIRM)
        assert not harness.symbol_state.blocks
        assert harness.report.kinds() == ["balance_missing", "balance_found"]
        assert harness.account.capital == Decimal(10_000)


async def test_the_key_of_another_account_halts(autojump_clock: MockClock) -> None:
    """The journal's positions are not there; nothing is sold, sized or counted."""
    harness = Harness(known=Decimal(10_000), held={"USDT": Decimal(500)})
    harness.account.name = "fake:1"
    harness.broker.account = "fake:2"
    async with harness.running():
        await trio.sleep(CONFIRM + 2 * PERIOD)
        for reason in harness.halts:
            assert reason.startswith("the key belongs to account fake:2, the journal to fake:1: ")
        assert len(harness.halts) == 3
        assert harness.account.capital == Decimal(10_000)
        assert not harness.account.is_capital_known
        assert harness.account.name == "fake:1"


async def test_the_account_is_remembered(autojump_clock: MockClock) -> None:
    """The first answer tells which account it is, and that is durable."""
    harness = Harness(known=Decimal(500), held={"USDT": Decimal(500)})
    harness.broker.account = "fake:2"
    async with harness.running():
        assert harness.account.name == "fake:2"
        assert harness.recorded == 1
        assert harness.halts == []


async def test_paper_has_no_account_to_read(autojump_clock: MockClock) -> None:
    """The monitor ends by itself: a paper account has the cash of fleet.toml and no balances."""
    harness = Harness(known=Decimal(10_000))
    harness.broker.held = None
    with trio.fail_after(1):
        await harness.monitor.run()
    assert harness.report.kinds() == []


@given(
    trades=st.lists(st.tuples(st.booleans(), TENTHS, TENTHS, TENTHS, st.sampled_from(range(3)))),
    capital=TENTHS,
)
def test_capital_is_what_no_fill_explains(
    trades: list[tuple[bool, Decimal, Decimal, Decimal, int]], capital: Decimal
) -> None:
    """Whatever was traded and however fees were paid: balance less `quote_moved` is constant."""
    position, balance = Position(symbol="BTCUSDT", quote_asset="USDT"), capital
    for number, (is_buy, quantity, price, fee, where) in enumerate(trades):
        side = Side.BUY if is_buy else Side.SELL
        fee /= 1_000
        asset = ("USDT", "BTC", "BNB")[where]
        position.apply(
            make_fill(side, quantity, price, fee=fee, fee_asset=asset, client_id=f"{number}")
        )
        balance -= quantity * price * side.sign + (fee if asset == "USDT" else 0)
    assert abs(balance - position.quote_moved() - capital) < Decimal("1e-15")


@given(
    day_start=TENTHS,
    gain=st.decimals("-0.09", "0.09", places=3),
    change=TENTHS,
    is_in=st.booleans(),
)
def test_capital_changes_no_return(
    day_start: Decimal, gain: Decimal, change: Decimal, is_in: bool
) -> None:
    """The day's return and the drawdown are the same before and after."""
    account = Account(symbol_states={}, name="", capital=day_start * (1 + gain))
    account.day_capital = account.peak_equity = day_start
    after = account.capital + change if is_in else account.capital / 2
    account.move_capital(after)
    assert account.equity() == after
    for reference in (account.day_start_equity(), account.peak_equity):
        assert abs(after / reference - (1 + gain)) < Decimal("1e-20")
