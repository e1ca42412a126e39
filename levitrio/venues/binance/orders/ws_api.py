"""One connection to the WS API: its requests and their answers, its events, its liveness.

Knows how to ask, not what: nothing here knows of keys or orders. A frame that cannot be read ends
the connection, because the request whose answer it may have been must not wait for ever.
"""

from collections.abc import Callable, Mapping

import msgspec
import trio

from levitrio.errors import VenueError
from levitrio.venues.binance.orders.error_codes import RefusedByVenue
from levitrio.venues.binance.rate_limits.account_limits import RateLimitReport
from levitrio.venues.binance.websocket import library_client
from levitrio.venues.binance.websocket.interface import OpenWebsocket
from levitrio.venues.binance.websocket.network import OpenStream, open_network_stream
from levitrio.venues.binance.websocket.request_client import RequestClient, Timing

PATH = "/ws-api/v3"


class RetryInfo(msgspec.Struct, rename="camel"):
    """`data` of an error."""

    server_time: int | None = None
    retry_after: int | None = None
    """When to come back, ms since 1970."""


class ErrorBody(msgspec.Struct):
    """Why a request was refused."""

    code: int = 0
    msg: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")


class Answer(msgspec.Struct, rename="camel"):
    """The answer to one request."""

    id: int | str | None = None
    status: int = 0
    """As in HTTP."""
    result: msgspec.Raw = msgspec.Raw(b"")
    error: ErrorBody | None = None
    rate_limits: list[RateLimitReport] = []
    event: msgspec.Raw = msgspec.Raw(b"")
    """It is no answer, but an unsolicited event."""

    @property
    def retry(self) -> RetryInfo:
        """When to come back, as far as it was said."""
        if self.error is None:
            return RetryInfo()
        try:
            return msgspec.json.decode(self.error.data, type=RetryInfo | None) or RetryInfo()
        except msgspec.DecodeError:
            return RetryInfo()


class _Event(msgspec.Struct):
    e: str = ""


_decode = msgspec.json.Decoder(Answer).decode
_decode_event = msgspec.json.Decoder(_Event).decode


class WsApi:
    """A connection; used once, by one caller of `run`.

    `take` is called on the connection's task with the kind of each event and its JSON, and must
    neither block nor raise anything but VenueError, which ends the connection.
    """

    def __init__(
        self,
        url: str,
        *,
        take: Callable[[str, bytes], None],
        timing: Timing | None = None,
        open_stream: OpenStream = open_network_stream,
        open_websocket: OpenWebsocket = library_client.open_library,
    ) -> None:
        """`url` such as `wss://ws-api.binance.com/ws-api/v3`; the path may be left out.

        Raises ValueError for what is no ws: or wss: address.
        """
        self._requests = RequestClient[Answer](
            url,
            path=lambda path: path or PATH,
            timing=timing,
            open_stream=open_stream,
            open_websocket=open_websocket,
        )
        self._take = take

    @property
    def is_open(self) -> bool:
        """Whether a request can be sent."""
        return self._requests.is_open

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Connect and receive until the end, which is always an error: VenueError says why.

        `started()` is called once requests can be sent. The socket is closed in every case, and
        every waiting request raises VenueError.
        """
        await self._requests.run(self._handle_all, task_status=task_status)

    async def request(self, method: str, params: Mapping[str, object], *, within: float) -> Answer:
        """Send one request, and return its answer, which may be an error of the venue's.

        Raises VenueError when none comes within so many seconds, or the connection ends: it may
        have been carried out. Cancelled, the same is true; a late answer is dropped.
        """
        return await self._requests.ask(method, params, within=within)

    async def wait_quiet(self) -> None:
        """Wait until no request waits for its answer."""
        await self._requests.wait_quiet()

    def _handle_all(self, batch: list[str | bytes], _now: float) -> None:
        for frame in batch:
            self._handle(frame)

    def _handle(self, frame: str | bytes) -> None:
        try:
            answer = _decode(frame)
            kind = _decode_event(answer.event).e if answer.event else ""
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise VenueError(f"expected an answer or an event, got neither: {error}") from None
        if answer.event:
            self._take(kind, bytes(answer.event))
        elif isinstance(answer.id, int):
            self._requests.answer(answer.id, answer)
        else:
            # Such as a key that was revoked: it is about the whole connection.
            said = answer.error or ErrorBody()
            raise RefusedByVenue("the session was ended", answer.status, said.code, said.msg)
