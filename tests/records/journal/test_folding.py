"""What a start makes of the journal's entries."""

from decimal import Decimal

from levitrio.records.journal.entries import (
    CommandEntry,
    DayEntry,
    FailedEntry,
    HaltEntry,
    History,
    MarketTimeEntry,
    WantedEntry,
)
from levitrio.records.journal.folding import CRASHES_KEPT, fold
from levitrio.trading.orders import OrderStatus
from tests.records.samples import fill, incident, intent, outcome


def test_nothing_folds_to_an_empty_history() -> None:
    """A new fleet has no history, and is active."""
    assert fold(()) == History()


def test_an_intent_stays_open_until_its_end_is_known() -> None:
    """Open orders are those a start has to reconcile, with the last status known."""
    history = fold((intent(2), intent(1), outcome(1, OrderStatus.PARTIALLY_FILLED, fill(1))))

    assert [(order.seq, order.status) for order in history.open_orders] == [
        (1, OrderStatus.PARTIALLY_FILLED),
        (2, OrderStatus.INTENDED),
    ]


def test_what_comes_after_the_end_brings_fills_but_reopens_nothing() -> None:
    """A late NEW after FILLED is noise, a late fill is money."""
    history = fold(
        (
            intent(1),
            outcome(1, OrderStatus.FILLED, fill(1)),
            outcome(1, OrderStatus.NEW, fill(1)),
        )
    )

    assert history.open_orders == ()
    assert len(history.fills) == 2


def test_fills_keep_the_order_of_the_journal() -> None:
    """Three fills of two orders, one after the other."""
    history = fold(
        (outcome(1, OrderStatus.NEW, fill(1), fill(1)), outcome(2, OrderStatus.NEW, fill(2)))
    )

    assert [f.client_id for f in history.fills] == ["L-1", "L-1", "L-2"]


def test_a_reset_forgets_failure_and_crashes() -> None:
    """Crashes count since the last reset only; the newest error is still shown."""
    failed = FailedEntry(symbol="SOLUSDT", reason="5 restarts", wall_ms=6)
    before = (incident(1), incident(2, counts=False), incident(3), failed)

    assert fold(before).crashes == {"SOLUSDT": (1, 3)}
    assert fold(before).failed == {"SOLUSDT": "5 restarts"}

    history = fold((*before, FailedEntry(symbol="SOLUSDT", reason=None, wall_ms=7), incident(8)))

    assert history.failed == {}
    assert history.crashes == {"SOLUSDT": (8,)}
    assert history.last_errors == {"SOLUSDT": "ValueError: at 8"}


def test_crashes_are_bounded() -> None:
    """A crash loop of weeks does not make a start slow."""
    history = fold(incident(n) for n in range(CRASHES_KEPT + 5))

    assert len(history.crashes["SOLUSDT"]) == CRASHES_KEPT
    assert history.crashes["SOLUSDT"][-1] == CRASHES_KEPT + 4


def test_the_newest_word_counts() -> None:
    """Wanted states, halts and days are replaced; market time only rises."""
    history = fold(
        (
            WantedEntry(symbol="SOLUSDT", wanted="stopped", wall_ms=1),
            WantedEntry(symbol="SOLUSDT", wanted="paused", wall_ms=2),
            HaltEntry(trading_state="halted", reason="by hand", wall_ms=3),
            DayEntry(symbol="SOLUSDT", day="2026-11-21", total_pnl=Decimal(1), wall_ms=4),
            DayEntry(symbol="SOLUSDT", day="2026-11-22", total_pnl=Decimal("2.5"), wall_ms=5),
            MarketTimeEntry(market_ms=900),
            MarketTimeEntry(market_ms=800),
            CommandEntry(method="halt", params="{}", pid=1, uid=0, wall_ms=6),
        )
    )

    assert history.wanted == {"SOLUSDT": "paused"}
    assert (history.trading_state, history.trading_reason) == ("halted", "by hand")
    assert history.days == {"SOLUSDT": ("2026-11-22", Decimal("2.5"))}
    assert history.market_ms == 900
