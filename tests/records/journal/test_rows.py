"""Entries survive the way to rows and back, and what cannot is refused before it is written."""

from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from levitrio.errors import DamagedRecord
from levitrio.records.journal.entries import DayEntry, Entry, FailedEntry, MarketTimeEntry
from levitrio.records.journal.rows import checksum, entries_of, rows_of
from levitrio.trading.orders import OrderStatus
from tests.records.samples import fill, incident, intent, outcome


def stored(*entries: Entry) -> list[tuple[int, str, tuple[Any, ...]]]:
    rows = [row for entry in entries for row in rows_of(entry)]
    return [
        (at, row.table, (at, *row.values, checksum(row.table, at, row.values)))
        for at, row in enumerate(rows, 1)
    ]


def test_entries_come_back_in_order_with_their_fills() -> None:
    """Fills of an outcome are rows of their own, and rejoin it."""
    entries: list[Entry] = [
        intent(1),
        outcome(1, OrderStatus.PARTIALLY_FILLED, fill(1, 7), fill(1)),
        incident(),
        outcome(1, OrderStatus.FILLED),
        FailedEntry(symbol="SOLUSDT", reason=None, wall_ms=1),
        outcome(1, OrderStatus.FILLED, fill(1, 8)),
    ]

    assert list(entries_of(stored(*entries))) == entries


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_decimals_are_exact(amount: Decimal) -> None:
    """Every digit and the exponent of a decimal come back."""
    entry = DayEntry(symbol="SOLUSDT", day="2026-11-22", total_pnl=amount, wall_ms=1)

    (found,) = entries_of(stored(entry))

    assert isinstance(found, DayEntry)
    assert found.total_pnl.as_tuple() == amount.as_tuple()


@given(st.text())
def test_any_text_can_be_stored(text: str) -> None:
    """Error texts come from anywhere; lone surrogates are written out as escapes."""
    (found,) = entries_of(stored(attrs.evolve(incident(), error=text)))

    assert found == attrs.evolve(
        incident(), error=text.encode("utf-8", "backslashreplace").decode("utf-8")
    )


@pytest.mark.parametrize(
    "entry",
    [
        DayEntry(symbol="X", day="", total_pnl=Decimal("NaN"), wall_ms=1),
        DayEntry(symbol="X", day="", total_pnl=Decimal("Infinity"), wall_ms=1),
        MarketTimeEntry(market_ms=2**63),
        attrs.evolve(incident(), delay=float("nan")),
    ],
)
def test_what_cannot_be_stored_is_refused_in_the_caller(entry: Entry) -> None:
    """One bad value must not fail the commit of other callers' records."""
    with pytest.raises(ValueError, match="expected"):
        rows_of(entry)


def test_a_changed_value_is_found_and_named() -> None:
    """SQLite would give a flipped digit back as if it were true; the checksum does not."""
    ((at, table, raw),) = stored(intent(1))
    forged = tuple(Decimal(9) if value == "0.50" else value for value in raw)
    forged = tuple("0.51" if value == Decimal(9) else value for value in forged)

    with pytest.raises(DamagedRecord, match="table intents, position 1: checksum"):
        list(entries_of([(at, table, forged)]))


def test_a_fill_without_an_outcome_is_damage() -> None:
    """A fill whose outcome is gone is damage of the journal, not a fill to apply."""
    rows = stored(outcome(1, OrderStatus.FILLED, fill(1)))

    with pytest.raises(DamagedRecord, match="a fill without an outcome"):
        list(entries_of(rows[1:]))
