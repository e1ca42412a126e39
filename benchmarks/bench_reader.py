"""From the socket to messages: the fast reader beside bare trio-websocket.

The venue is a process of its own. What is counted is the processor time of this one, kernel
included; that is what a fleet pays, whatever the venue and the machine's other users do.
"""

import time
from collections.abc import Iterable
from functools import partial
from typing import cast

import trio
import trio_websocket

from benchmarks import flood
from benchmarks.certificate import trusted_certificate
from benchmarks.measurement import Goal, Row, measures
from benchmarks.sampling import medians
from levitrio.venues.binance.market_data.stream_client import READERS
from levitrio.venues.binance.websocket.interface import MAX_MESSAGE, RECEIVE_BYTES
from levitrio.venues.binance.websocket.network import open_network_stream

_COUNT = 10_000
"""Messages of one sample: a third of a second of trio-websocket, some 10 ms of ours."""
_SYMBOLS = 200
_GO = '{"id":1}'
"""What makes the venue begin."""


async def _fast(port: int, tls: bool) -> float:
    """The fast reader, which throws its messages away."""
    stream = await open_network_stream("localhost" if tls else "127.0.0.1", port, tls)
    async with stream, trio.open_nursery() as nursery:
        websocket = await READERS["fast"](nursery, stream, "venue", "/stream")
        await websocket.send_text(_GO)
        count = -1  # the answer
        begun = time.process_time()
        while count < _COUNT:
            count += len(await websocket.receive_batch())
        spent = time.process_time() - begun
        nursery.cancel_scope.cancel()
    return spent / _COUNT * 1e6


async def _bare(port: int, tls: bool) -> float:
    """Nothing but the library's loop, with buffers as generous as ours and the TLS of trio."""
    stream: trio.abc.Stream
    if tls:
        stream = await trio.open_ssl_over_tcp_stream("localhost", port, https_compatible=True)
    else:
        stream = await trio.open_tcp_stream("127.0.0.1", port)
    async with stream, trio.open_nursery() as nursery:
        websocket = await trio_websocket.wrap_client_stream(
            nursery,
            cast(trio.SocketStream, stream),
            "venue",
            "/stream",
            message_queue_size=1024,
            max_message_size=MAX_MESSAGE,
            receive_buffer_size=RECEIVE_BYTES,
        )
        await websocket.send_message(_GO)
        await websocket.get_message()
        begun = time.process_time()
        for _ in range(_COUNT):
            await websocket.get_message()
        spent = time.process_time() - begun
        nursery.cancel_scope.cancel()
    return spent / _COUNT * 1e6


_WAYS = {
    "TCP": (False, 300),
    "TLS": (True, 300),
    "TLS, a record for each message": (True, 1),
}
"""Whether with TLS, and how many messages the venue writes at once."""


@measures
def received_message() -> Iterable[Row]:
    """Processor time of a received message of two hundred bytes."""
    with trusted_certificate() as certificate:
        for way, (tls, per_write) in _WAYS.items():
            if tls and certificate is None:
                continue
            with flood.running(
                _COUNT, _SYMBOLS, per_write, str(certificate) if tls else None
            ) as port:
                found = medians(
                    {
                        "fast": partial(trio.run, _fast, port, tls),
                        "bare": partial(trio.run, _bare, port, tls),
                    }
                )
            yield Row(
                name=f"received message, {way}",
                value=found["fast"],
                unit="us",
                floor_name="bare trio-websocket loop",
                floor=found["bare"],
                goal=Goal(limit=0.1),
            )
