"""Caches the status document: made at most four times a second, dropped at every change.

A reader gets a document younger than `MAX_AGE`, and never one from before an event: the next
answer shows a crash, a halt or an operator's command.
"""

import attrs
import trio

from levitrio.app.status.document import StatusDocument
from levitrio.records.logs.event_log import Event

MAX_AGE = 0.25
"""Seconds a document is served: fresh enough for a reader, and a thousand readers cost one."""

_FREQUENT = frozenset({"fill", "denied", "rejected"})
"""Events that keep the cached document: they change only amounts, and come 100 times a second."""


@attrs.define(eq=False)
class StatusCache:
    """Makes one status document at a time for all readers. A sink of the event log."""

    status_document: StatusDocument
    _made: bytes | None = None
    _begun: float = 0.0
    """Loop time at which the reading of its rows began."""
    _changes: int = 0
    _making: trio.Lock = attrs.field(factory=trio.Lock)

    async def encoded(self) -> bytes:
        """The whole document as JSON, at most `MAX_AGE` old. Cancelled, it changes nothing.

        Has no checkpoint when the document is cached: one would cost more than the answer.
        """
        if (document := self._at_hand()) is not None:
            return document
        async with self._making:
            if (document := self._at_hand()) is not None:
                return document
            now, changes = trio.current_time(), self._changes
            document = await self.status_document.encode()
            if changes == self._changes:  # otherwise some rows may be from before the change
                self._made, self._begun = document, now
            return document

    def _at_hand(self) -> bytes | None:
        if trio.current_time() - self._begun > MAX_AGE:
            self._made = None
        return self._made

    def forget(self) -> None:
        """Drop the cached document, so that the next reader sees a change."""
        self._made = None
        self._changes += 1

    def __call__(self, event: Event) -> None:
        """Drop the cached document at an event, unless the event is a frequent one."""
        if event.kind not in _FREQUENT:
            self.forget()
