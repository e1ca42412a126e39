"""The client of the venue's REST interface: GET, JSON, one connection for each request.

Every failure is a `VenueError` that says what was expected. Redirects are not followed,
compressed bodies not unpacked, and both time and size are bounded.
"""

from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

import h11
import msgspec
import trio

from levitrio.errors import VenueError
from levitrio.venues.binance.rate_limits.request_weight import WeightLimiter
from levitrio.venues.binance.websocket.network import OpenStream, open_network_stream

ANSWER_WITHIN = 10.0
"""Seconds for a whole answer; the venue's own limit towards its engine is ten."""
MAX_BODY = 4 << 20
"""Bytes. A snapshot of 5,000 levels has 300 kB."""
MAX_HEAD = 1 << 16
LONGEST_WAIT = 60.0
"""Seconds a request waits for its turn; more is as good as no answer."""

_RECEIVE_BYTES = 1 << 16

_HOSTS = {
    "stream.binance.com": "api.binance.com",
    "data-stream.binance.vision": "data-api.binance.vision",
    "stream.testnet.binance.vision": "testnet.binance.vision",
    "demo-stream.binance.com": "demo-api.binance.com",
}
"""Where the venue's streams and its REST interface are at different addresses."""


class _ErrorBody(msgspec.Struct):
    code: int | None = None
    msg: str = ""


class HttpRefusal(VenueError):
    """An answer other than 200, with the venue's own code and text where it gave them."""

    def __init__(self, what: str, status: int, body: bytes) -> None:
        said = _said(body)
        self.status, self.code, self.msg = status, said.code, said.msg[:200]
        words = "" if said.code is None else f" ({said.code}: {self.msg!r})"
        super().__init__(f"{what}: expected HTTP 200, got {status}{words}")


def rest_url(stream_url: str) -> str:
    """Return the REST address that belongs to an address of market streams.

    An unknown venue, such as our simulator, has both at one port.
    """
    parts = urlsplit(stream_url)
    host = _HOSTS.get(parts.hostname or "")
    if host is not None:
        return f"https://{host}"
    return f"{'https' if parts.scheme == 'wss' else 'http'}://{parts.netloc}"


class RestClient:
    """Sends public queries only: it has no keys."""

    def __init__(
        self,
        url: str,
        *,
        weight_limiter: WeightLimiter | None = None,
        open_stream: OpenStream = open_network_stream,
    ) -> None:
        """Make a client of an address such as `https://api.binance.com`.

        Raises:
            ValueError: The address is none.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"expected http://HOST or https://HOST, got {url[:200]!r}")
        self._host = parts.hostname
        self._tls = parts.scheme == "https"
        self._port = parts.port or (443 if self._tls else 80)
        self._authority = parts.netloc
        self._path = parts.path.rstrip("/")
        self._weight_limiter = weight_limiter or WeightLimiter()
        self._open_stream = open_stream

    async def get(self, path: str, params: Mapping[str, object], *, weight: int) -> bytes:
        """Wait for a turn, send a query, and return the body of a successful answer.

        Cancelled, the connection is closed and its weight counts as used.

        Raises:
            VenueError: The query failed or was refused.
        """
        what = f"GET {path}"
        wait = self._weight_limiter.reserve(trio.current_time(), weight)
        if wait > LONGEST_WAIT:
            raise VenueError(f"{what}: the venue may not be asked for {wait:.0f} s")
        await trio.sleep(wait)
        # Another answer may have asked us to wait meanwhile.
        if (ban := self._weight_limiter.blocked_for(trio.current_time())) > 0:
            raise VenueError(f"{what}: the venue may not be asked for {ban:.0f} s")
        try:
            with trio.fail_after(ANSWER_WITHIN):
                response, body = await self._exchange(f"{self._path}{path}?{urlencode(params)}")
        except trio.TooSlowError:
            raise VenueError(f"{what}: expected an answer in {ANSWER_WITHIN:g} s") from None
        except (
            h11.ProtocolError,
            trio.BrokenResourceError,
            trio.ClosedResourceError,
            OSError,
        ) as error:
            raise VenueError(f"{what}: {type(error).__name__}: {error}"[:300]) from None
        self._check(what, response, body)
        return body

    async def _exchange(self, target: str) -> tuple[h11.Response, bytes]:
        machine = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        stream = await self._open_stream(self._host, self._port, self._tls)
        try:
            request = h11.Request(
                method="GET",
                target=target,
                headers=[
                    ("Host", self._authority),
                    ("Accept", "application/json"),
                    ("Accept-Encoding", "identity"),
                    ("Connection", "close"),
                ],
            )
            await stream.send_all(machine.send(request) + machine.send(h11.EndOfMessage()))
            response: h11.Response | None = None
            body = bytearray()
            while True:
                event = machine.next_event()
                if event is h11.NEED_DATA:
                    machine.receive_data(bytes(await stream.receive_some(_RECEIVE_BYTES)))
                elif isinstance(event, h11.Response):
                    response = event
                elif isinstance(event, h11.Data):
                    body += event.data
                    if len(body) > MAX_BODY:
                        raise h11.RemoteProtocolError(f"more than {MAX_BODY} bytes")
                elif isinstance(event, h11.EndOfMessage):
                    assert response is not None
                    return response, bytes(body)
                elif not isinstance(event, h11.InformationalResponse):
                    raise h11.RemoteProtocolError("closed before the answer was whole")
        finally:
            await trio.aclose_forcefully(stream)

    def _check(self, what: str, response: h11.Response, body: bytes) -> None:
        headers = {
            name.decode("ascii", "replace"): value.decode("ascii", "replace")
            for name, value in response.headers
        }
        status = response.status_code
        used = headers.get("x-mbx-used-weight-1m", headers.get("x-mbx-used-weight"))
        self._weight_limiter.observe(
            trio.current_time(), status, used=used, retry_after=headers.get("retry-after")
        )
        if status != 200:
            raise HttpRefusal(what, status, body)
        encoding = headers.get("content-encoding", "identity")
        if encoding != "identity":
            raise VenueError(f"{what}: expected a plain body, got {encoding[:40]!r}")


def _said(body: bytes) -> _ErrorBody:
    """Return the venue's code and text of a refusal, where the body has them."""
    try:
        return msgspec.json.decode(body, type=_ErrorBody)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return _ErrorBody()
