"""Makes and recognises the fleet's client order ids: `levi-TOKEN-SEQUENCE-ATTEMPT`, in hex.

The token is drawn when a journal is made: two fleets on one account, or a fleet that lost its
journal, never take each other's orders for their own. A sequence is given out once.
"""

import re
from collections.abc import Callable

import attrs

PREFIX = "levi"
_ID = re.compile(rf"{PREFIX}-([0-9a-f]{{1,8}})-([0-9a-f]{{1,16}})-[0-9a-f]{{1,4}}")


@attrs.frozen
class OrderIds:
    """Client order ids of one journal: at most 36 characters, all allowed by the venue."""

    token: int
    """32 bits; 0 for a journal made before there were tokens."""
    last: Callable[[], int]
    """Returns the highest sequence given out so far."""

    def make(self, seq: int, *, attempt: int = 0) -> str:
        """The id of the order whose intent has this sequence."""
        return f"{PREFIX}-{self.token:x}-{seq:x}-{attempt:x}"

    def is_ours(self, client_id: str) -> bool:
        """Whether this journal made the id: token and a sequence that was given out."""
        found = _ID.fullmatch(client_id)
        if found is None or int(found[1], 16) != self.token:
            return False
        return 0 < int(found[2], 16) <= self.last()

    @staticmethod
    def sequence(client_id: str) -> int:
        """The sequence in an id that `make` returned."""
        return int(client_id.split("-")[2], 16)
