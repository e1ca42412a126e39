"""A TLS stream that returns everything it can decrypt at once.

A venue puts each message in a TLS record of its own. `trio.SSLStream` returns one record for a
call, with a turn of the scheduler and its bookkeeping: several times what the message costs after
it. Here one read of the socket is decrypted as far as it goes. The cryptography, the checks of
certificate and name, and the protocol are those of the standard library's `ssl`.
"""

import ssl
from contextlib import suppress

import attrs
import trio

_READ_BYTES = 1 << 16


@attrs.define(eq=False)
class TlsStream(trio.abc.Stream):
    """The client's side of TLS over a stream, which it owns. One task may receive at a time.

    The end of the stream is accepted without a TLS close notice, as HTTPS clients do: websocket
    and HTTP tell themselves whether a message is complete.
    """

    transport: trio.abc.Stream
    _tls: ssl.SSLObject
    _incoming: ssl.MemoryBIO
    _outgoing: ssl.MemoryBIO
    _sending: trio.StrictFIFOLock = attrs.field(factory=trio.StrictFIFOLock, init=False)
    _is_torn: bool = attrs.field(default=False, init=False)
    """A record was sent in part; the stream is broken."""
    _has_ended: bool = attrs.field(default=False, init=False)
    _failure: str = attrs.field(default="", init=False)
    """Why nothing more can be decrypted."""

    @classmethod
    async def open(
        cls, transport: trio.abc.Stream, context: ssl.SSLContext, host: str
    ) -> "TlsStream":
        """Shake hands with `host` over an open stream.

        Failed or cancelled, the transport is closed.

        Raises:
            trio.BrokenResourceError: The handshake failed, or the certificate is not trusted; the
                cause says which.
        """
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname=host)
        stream = cls(transport, tls, incoming, outgoing)
        try:
            await stream._shake_hands()
        except BaseException:
            await trio.aclose_forcefully(transport)
            raise
        return stream

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send; cancelled or failed midway, the stream is broken."""
        async with self._sending:
            if self._is_torn:
                raise trio.BrokenResourceError("a record before was sent in part")
            rest = memoryview(data)
            try:
                while rest:
                    rest = rest[self._tls.write(rest) :]
            except ssl.SSLError as error:
                raise trio.BrokenResourceError("TLS failed") from error
            await self._send_records()

    async def wait_send_all_might_not_block(self) -> None:
        """Wait as the transport does."""
        await self.transport.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return what one read of the transport brings, at most `max_bytes`; empty at the end.

        Cancelled, nothing is lost.

        Raises:
            trio.BrokenResourceError: The bytes are no TLS.
        """
        limit = _READ_BYTES if max_bytes is None else max_bytes
        while True:
            if self._has_ended or self._incoming.pending or self._tls.pending():
                await trio.lowlevel.checkpoint()
            else:
                await self._read_records(limit)
            # No checkpoint from here on: what is decrypted is returned.
            data = self._decrypt(limit)
            if data is not None:
                return data
            if self._outgoing.pending:
                # A reply that TLS itself needs, such as to a key update.
                async with self._sending:
                    await self._send_records()
            await self._read_records(limit)

    async def aclose(self) -> None:
        """Close the transport, without a TLS close notice, which would have to be waited for."""
        await self.transport.aclose()

    def _decrypt(self, limit: int) -> bytes | None:
        """Return what can be decrypted now, empty at the end; None without one complete record."""
        parts: list[bytes] = []
        size = 0
        try:
            while size < limit and not self._has_ended:
                part = self._tls.read(limit - size)
                self._has_ended = not part
                parts.append(part)
                size += len(part)
        except ssl.SSLWantReadError:
            if not parts:
                return None
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            self._has_ended = True  # with a close notice, or without
        except ssl.SSLError as error:
            self._has_ended, self._failure = True, str(error)
        if self._failure and not parts:
            # Only now: the sound records before it have been returned.
            raise trio.BrokenResourceError(f"TLS failed: {self._failure}")
        return b"".join(parts)

    async def _shake_hands(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._send_records()
                await self._read_records(_READ_BYTES)
            except ssl.SSLError as error:
                with suppress(trio.BrokenResourceError):
                    await self._send_records()  # the alert, which tells the peer why
                raise trio.BrokenResourceError("TLS failed") from error
            else:
                await self._send_records()
                return

    async def _read_records(self, size: int) -> None:
        data = await self.transport.receive_some(max(size, _READ_BYTES))
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    async def _send_records(self) -> None:
        """Send the records that TLS has to send."""
        await trio.lowlevel.checkpoint_if_cancelled()
        self._is_torn = True
        await self.transport.send_all(self._outgoing.read())
        self._is_torn = False
