"""Ids that name the journal, the intent and the attempt, and fit the venue."""

import re

from hypothesis import given
from hypothesis import strategies as st

from levitrio.gateway.order_ids import OrderIds

TOKENS = st.integers(0, 2**32 - 1)


@given(token=TOKENS, other=TOKENS, seq=st.integers(1, 2**53), attempt=st.integers(0, 255))
def test_an_id_names_its_order(token: int, other: int, seq: int, attempt: int) -> None:
    """At most 36 characters of the venue's alphabet; ours, nobody else's, and its sequence."""
    client_id = OrderIds(token).make(seq, attempt=attempt)
    assert re.fullmatch(r"[.A-Z:/a-z0-9_-]{1,36}", client_id)
    assert OrderIds(token).is_ours(client_id)
    assert OrderIds(other).is_ours(client_id) == (other == token)
    assert OrderIds.sequence(client_id) == seq


def test_ids_of_old_journals_stay_ours() -> None:
    """A journal from before there were tokens goes on with none."""
    assert OrderIds(0).make(26) == "levi-0-1a-0"
    assert not OrderIds(0).is_ours("x-levi-0-1a-0")
