"""Parses the bytes of a websocket into messages, on the client's side. Pure.

Nearly all frames of a venue are text frames: whole, unmasked, shorter than 64 KiB. One loop cuts
them out of what was read, and handles pings and pongs, which may stand anywhere. Every other frame
goes byte by byte through wsproto, which handles it (fragments, binary, long and closing frames) or
names the rule it breaks; after it, and after the last fragment of its message, the loop goes on.

The parser decides and the client acts: `ping`, `pongs` and `end` say what is to be done.
"""

from typing import cast

import attrs
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, TextMessage
from wsproto.frame_protocol import CloseReason

from levitrio.venues.binance.websocket.interface import MAX_MESSAGE

_TEXT = 0x81
_PING = 0x89
_PONG = 0x8A
_CONTROL = 0x08  # a bit of the first byte
_MASKED = 0x80  # a bit of the second
_SHORT = 125  # above it the length is in the bytes that follow
_TWO_BYTES = 126
_LENGTH_BYTES = {_TWO_BYTES: 2, 127: 8}

ODD_AT_ONCE = 1000
"""Frames in one call that are not plain text: some 10 ms, then other tasks may run."""


@attrs.frozen(kw_only=True)
class End:
    """Why the connection delivers no more messages."""

    code: int
    """Close code; RFC 6455, section 7.4.1."""
    reason: str
    by_peer: bool
    """The peer closed; otherwise it broke a rule, and the client closes."""

    @property
    def name(self) -> str:
        """The name of the code."""
        try:
            return CloseReason(self.code).name
        except ValueError:
            return "REGISTERED" if self.code < 4000 else "PRIVATE"


class FrameParser:
    """Takes the bytes read from one connection and keeps the incomplete frame at their end."""

    def __init__(self, *, max_message: int = MAX_MESSAGE) -> None:
        """Make one; `max_message` bounds the bytes of a message with all fragments (>= 125)."""
        if max_message < _SHORT:
            raise ValueError(f"max_message: expected at least {_SHORT}, got {max_message}")
        self.protocol = Connection(ConnectionType.CLIENT)
        """Has seen every frame that is not plain; encodes the frames the client sends."""
        self.ping: bytes | None = None
        """The newest ping without an answer; the client resets it. RFC 6455, section 5.5.3, allows
        to leave out older ones, so a flood of pings costs one pong a read."""
        self.pongs: list[bytes] = []
        """The peer's pongs; the client empties it."""
        self.end: End | None = None
        self.is_behind = False
        """More bytes are waiting: call `scan` with nothing before the next read."""
        self._max_message = max_message
        self._max_plain = min(max_message, 0xFFFF)
        self._rest = b""
        """The beginning of a frame, less than 64 KiB."""
        self._due = 0
        """Bytes of a frame that is not plain which wsproto has not had yet."""
        self._in_message = False
        """More fragments of a message must follow."""
        self._parts: list[str | bytes | bytearray] = []
        self._message_bytes = 0

    def scan(self, data: bytes) -> list[str | bytes]:
        """Return all messages completed by `data`, in order; none once there is an `end`."""
        messages: list[str | bytes] = []
        if self._rest:
            data = self._rest + data
        at = before = 0
        odd = 0
        self.is_behind = False
        while self.end is None:
            if not (self._due or self._in_message):
                at = self._scan_plain(data, at, messages)
            if odd == ODD_AT_ONCE:
                self.is_behind = self.end is None
                break
            at = self._scan_odd(data, at, messages)
            if at == before:
                break
            before = at
            odd += 1
        self._rest = data[at:]
        return messages

    def _scan_plain(self, data: bytes, at: int, messages: list[str | bytes]) -> int:
        """Take plain text frames until another frame comes; return its position."""
        append = messages.append
        size = len(data)
        longest = self._max_plain
        try:
            while data[at] == _TEXT:
                length = data[at + 1]
                if length == _TWO_BYTES:
                    length = data[at + 2] << 8 | data[at + 3]
                    if not _SHORT < length <= longest:
                        break
                    start = at + 4
                elif length <= _SHORT:
                    start = at + 2
                else:
                    break
                stop = start + length
                if stop > size:
                    break
                # Tried: one decode of all that was read, and slices of it. No faster.
                append(data[start:stop].decode())
                at = stop
        except IndexError:
            pass  # in the middle of a header, or at the end: once for each read, not each frame
        except UnicodeDecodeError as error:
            self._fail(CloseReason.INVALID_FRAME_PAYLOAD_DATA, str(error))
        return at

    def _scan_odd(self, data: bytes, at: int, messages: list[str | bytes]) -> int:
        """Take one frame that is not plain, or the part that is there; return where it stops.

        Nothing is taken where a plain frame begins, or where too little of another is there.
        """
        if self.end is not None:
            return at
        if self._due:
            stop = min(at + self._due, len(data))
            self._due -= stop - at
            self._pass_on(data[at:stop], messages)
            return stop
        if len(data) < at + 2:
            return at
        first, code = data[at], data[at + 1]
        is_control = bool(first & _CONTROL)
        length, start = code & ~_MASKED, at + 2
        if length > _SHORT and not is_control:
            start += _LENGTH_BYTES[length]
            if len(data) < start:
                return at
            length = int.from_bytes(data[at + 2 : start])
        stop = start + length
        if first == _TEXT and not self._in_message:
            shortest = 0 if code <= _SHORT else _SHORT + 1
            if code <= _TWO_BYTES and shortest <= length <= self._max_plain:
                return at  # incomplete, or the loop would have taken it
        elif first in (_PING, _PONG) and code <= _SHORT:
            if stop > len(data):
                return at
            if first == _PING:
                self.ping = data[start:stop]
            else:
                self.pongs.append(data[start:stop])
            return stop
        # The header alone first: wsproto says which rule it breaks, however long it claims to be.
        self._pass_on(data[at:start], messages)
        if self.end is not None:
            return start
        if not is_control:
            self._message_bytes += length
        if self._message_bytes > self._max_message:
            expected = f"expected at most {self._max_message} bytes"
            self._fail(CloseReason.MESSAGE_TOO_BIG, f"{expected}, got {self._message_bytes}")
        self._due = length
        return start

    def _pass_on(self, data: bytes, messages: list[str | bytes]) -> None:
        """Pass a part of a frame that is not plain to wsproto, and handle its events."""
        self.protocol.receive_data(data)
        for event in self.protocol.events():
            if isinstance(event, TextMessage | BytesMessage):
                self._collect(event, messages)
            else:
                assert isinstance(event, CloseConnection), event
                by_peer = self.protocol.state is ConnectionState.REMOTE_CLOSING
                self.end = End(code=event.code, reason=event.reason or "", by_peer=by_peer)

    def _collect(self, part: TextMessage | BytesMessage, messages: list[str | bytes]) -> None:
        if part.data:
            # Empty ones would grow this list beyond what the message's size allows.
            self._parts.append(part.data)
        self._in_message = not part.message_finished
        if part.message_finished:
            if isinstance(part, TextMessage):
                messages.append("".join(cast(list[str], self._parts)))
            else:
                messages.append(b"".join(cast(list[bytes], self._parts)))
            self._parts = []
            self._message_bytes = 0

    def _fail(self, code: CloseReason, reason: str) -> None:
        self.end = End(code=code, reason=reason, by_peer=False)
