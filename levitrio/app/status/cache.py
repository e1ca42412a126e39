"""The status document for many readers: made four times a second, forgotten at every change.

Whoever asks gets what was true less than `MAX_AGE` ago, and never what an event has overtaken:
a crash, a halt, an order of the operator is in the next answer.
"""

import attrs
import trio

from levitrio.app.status.document import StatusDocument
from levitrio.records.logs.event_log import Event

MAX_AGE = 0.25
"""Seconds: a document this old is as good as new to a reader, and a thousand cost what one does."""

_FREQUENT = frozenset({"fill", "denied", "rejected"})
"""Events that change money only, and may come a hundred times a second."""


@attrs.define(eq=False)
class StatusCache:
    """Makes one document at a time, whoever asks. A sink of the event log."""

    status_document: StatusDocument
    _made: bytes | None = None
    _begun: float = 0.0
    """When the first of its rows was read."""
    _changes: int = 0
    _making: trio.Lock = attrs.field(factory=trio.Lock)

    async def encoded(self) -> bytes:
        """The whole document as JSON, at most `MAX_AGE` old. Cancelled, it leaves the old one.

        Gives way to others only when there is none at hand: that would cost more than the rest.
        """
        if (document := self._at_hand()) is not None:
            return document
        async with self._making:
            if (document := self._at_hand()) is not None:
                return document
            now, changes = trio.current_time(), self._changes
            document = await self.status_document.encode()
            if changes == self._changes:  # else some rows may be from before the change
                self._made, self._begun = document, now
            return document

    def _at_hand(self) -> bytes | None:
        if trio.current_time() - self._begun > MAX_AGE:
            self._made = None
        return self._made

    def forget(self) -> None:
        """Something was changed: the next reader must see it."""
        self._made = None
        self._changes += 1

    def __call__(self, event: Event) -> None:
        """What was told is in the next document."""
        if event.kind not in _FREQUENT:
            self.forget()
