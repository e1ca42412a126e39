"""Our ids of orders, by which we know them again: `levi-TOKEN-SEQUENCE-ATTEMPT`, in hex.

The token is the journal's, drawn when it was made: two fleets that trade on one account, or one
that lost its journal, never take each other's orders for their own. The sequence is given once.
"""

import re
from collections.abc import Callable

import attrs

PREFIX = "levi"
_ID = re.compile(rf"{PREFIX}-([0-9a-f]{{1,8}})-([0-9a-f]{{1,16}})-[0-9a-f]{{1,4}}")


@attrs.frozen
class OrderIds:
    """Ids of one journal's orders; at most 36 characters of the venue's alphabet."""

    token: int
    """32 bits; 0 of journals from before there were tokens."""
    last: Callable[[], int]
    """The highest sequence that was given so far."""

    def make(self, seq: int, *, attempt: int = 0) -> str:
        """The id of the order whose intent has this sequence."""
        return f"{PREFIX}-{self.token:x}-{seq:x}-{attempt:x}"

    def is_ours(self, client_id: str) -> bool:
        """Whether an id was made here: one with a sequence that was never given was not."""
        found = _ID.fullmatch(client_id)
        if found is None or int(found[1], 16) != self.token:
            return False
        return 0 < int(found[2], 16) <= self.last()

    @staticmethod
    def sequence(client_id: str) -> int:
        """The sequence in an id that was made here."""
        return int(client_id.split("-")[2], 16)
