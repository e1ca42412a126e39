"""The status document for many readers: gathered at most four times a second."""

from collections.abc import Mapping
from typing import Any

import attrs
import trio

from levitrio.control.answers import encode
from levitrio.http.port import WebFleet

MAX_AGE = 0.25
"""Seconds: a document this old is as good as new to a reader, and a thousand of them cost one."""

SLICE = 64
"""Rows encoded between two checkpoints: half a megabyte at once takes five milliseconds."""


@attrs.define(eq=False)
class StatusCache:
    """One gathering at a time, whoever asks."""

    fleet: WebFleet
    _document: Mapping[str, Any] | None = None
    _encoded: tuple[Mapping[str, Any], bytes] | None = None
    """The newest document that was asked for as JSON, and its JSON."""
    _gathered_at: float = 0.0
    _gathering: trio.Lock = attrs.field(factory=trio.Lock)
    _encoding: trio.Lock = attrs.field(factory=trio.Lock)

    async def document(self) -> Mapping[str, Any]:
        """The document, at most `MAX_AGE` old. Cancelled, it leaves the old one."""
        async with self._gathering:
            if self._document is None or trio.current_time() - self._gathered_at > MAX_AGE:
                begun = trio.current_time()
                self._document = await self.fleet.gather()
                # Its rows were read from this moment on.
                self._gathered_at = begun
            return self._document

    async def encoded(self) -> bytes:
        """The same as JSON, made once for everybody, in slices."""
        document = await self.document()
        async with self._encoding:
            if self._encoded is None or self._encoded[0] is not document:
                self._encoded = (document, await _encode(document))
            return self._encoded[1]

    def forget(self) -> None:
        """Something was changed by hand: the next reader must see it."""
        self._document = None


async def _encode(document: Mapping[str, Any]) -> bytes:
    rows = document["engines"]
    pieces = []
    for start in range(0, len(rows), SLICE):
        pieces.append(encode(rows[start : start + SLICE])[1:-1])
        await trio.lowlevel.checkpoint()
    head = encode({key: value for key, value in document.items() if key != "engines"})
    return b'%s,"engines":[%s]}' % (head[:-1], b",".join(pieces))
