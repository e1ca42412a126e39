"""A venue in a process of its own that floods its clients with trades.

`python -m benchmarks.flood COUNT SYMBOLS PER_WRITE [CERTIFICATE]` prints its port, answers the
first message of each client, sends it COUNT trades of so many symbols, and waits until it leaves.
It is as bare as can be, so that the client is what is measured.
"""

import socket
import ssl
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha1

import msgspec


def symbol(number: int) -> str:
    """The name of a symbol."""
    return f"S{number:03d}USDT"


def trade_frame(number: int, symbols: int) -> bytes:
    """A trade of about two hundred bytes, as the venue sends them, in its frame."""
    name = symbol(number % symbols)
    data = (
        f'{{"stream":"{name.lower()}@trade","data":{{"e":"trade","E":1723161255342,"s":"{name}",'
        f'"t":{3_000_000_000 + number // symbols},"p":"61000.{number % 100:02d}000000",'
        f'"q":"0.0{number % 10}100000","b":28457512345,"a":28457512346,"T":1723161255342,'
        f'"m":true,"M":true}}}}'
    ).encode()
    return b"\x81\x7e" + len(data).to_bytes(2) + data


def serve(count: int, symbols: int, per_write: int, certificate: str | None) -> None:
    """Serve trades for ever, so many in one write."""
    frames = [trade_frame(number, symbols) for number in range(count)]
    listen([b"".join(frames[i : i + per_write]) for i in range(0, count, per_write)], certificate)


def listen(writes: list[bytes], certificate: str | None) -> None:
    """Serve one client after the other, for ever; prints the port first."""
    tls: ssl.SSLContext | None = None
    if certificate is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            client, _ = listener.accept()
            with suppress(OSError), client:
                if tls is not None:
                    client = tls.wrap_socket(client, server_side=True)
                _talk(client, writes)


def _talk(client: socket.socket, writes: list[bytes]) -> None:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += client.recv(4096)
    key = head.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
    proof = b64encode(sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    client.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Accept: " + proof + b"\r\n\r\n"
    )
    answer = b'{"result":null,"id":%d}' % msgspec.json.decode(_message(client))["id"]
    client.sendall(b"\x81" + bytes([len(answer)]) + answer)
    for data in writes:
        client.sendall(data)
    client.recv(1)


def _message(client: socket.socket) -> bytes:
    """The first message of a client: a text frame, masked."""
    with client.makefile("rb") as stream:
        length = stream.read(2)[1] & 0x7F
        if length == 126:
            length = int.from_bytes(stream.read(2))
        mask = stream.read(4)
        return bytes(byte ^ mask[i % 4] for i, byte in enumerate(stream.read(length)))


@contextmanager
def running(
    count: int, symbols: int = 1, per_write: int = 300, certificate: str | None = None
) -> Iterator[int]:
    """The venue in its process; yields its port, and ends it."""
    command = [sys.executable, "-m", "benchmarks.flood", f"{count}", f"{symbols}", f"{per_write}"]
    command += [certificate] if certificate else []
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


if __name__ == "__main__":
    count, symbols, per_write, *certificate = sys.argv[1:]
    serve(int(count), int(symbols), int(per_write), certificate[0] if certificate else None)
