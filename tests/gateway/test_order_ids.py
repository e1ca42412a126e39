"""Ids that name the journal, the intent and the attempt, and fit the venue."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levitrio.gateway.order_ids import OrderIds

TOKENS = st.integers(0, 2**32 - 1)


@given(token=TOKENS, other=TOKENS, seq=st.integers(1, 2**53), attempt=st.integers(0, 255))
def test_an_id_names_its_order(token: int, other: int, seq: int, attempt: int) -> None:
    """At most 36 allowed characters; recognised by its own journal only, with its sequence."""
    ours = OrderIds(token, lambda: seq)
    client_id = ours.make(seq, attempt=attempt)
    assert re.fullmatch(r"[.A-Z:/a-z0-9_-]{1,36}", client_id)
    assert ours.is_ours(client_id)
    assert OrderIds(other, lambda: seq).is_ours(client_id) == (other == token)
    assert not OrderIds(token, lambda: seq - 1).is_ours(client_id), "it was never given"
    assert OrderIds.sequence(client_id) == seq


def test_ids_of_old_journals_stay_ours() -> None:
    """A journal from before there were tokens goes on with none."""
    ids = OrderIds(0, lambda: 100)
    assert ids.make(26) == "levi-0-1a-0"
    assert ids.is_ours("levi-0-1a-0")


@pytest.mark.parametrize(
    "client_id",
    [
        *("", "levi", "levi-0--0", "levi-0-zz-0", "levi-0-0-0"),
        *("x-levi-0-1-0", "levi-0-1", "levi-0-1-0 "),
    ],
)
def test_an_id_that_only_looks_like_ours_is_foreign(client_id: str) -> None:
    """An id may be any text at all."""
    assert not OrderIds(0, lambda: 100).is_ours(client_id)
