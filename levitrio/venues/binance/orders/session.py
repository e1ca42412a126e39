"""A WS API connection with our key on it: signed requests, the venue's clock, user data.

Prepared in this order: the time, because everything signed carries it; the logon of an Ed25519
key, after which nothing more is signed; the user data stream. Only then it is ready.
"""

from collections.abc import Callable, Mapping

import msgspec
import trio

from levitrio.errors import VenueError, first_error
from levitrio.venues.binance.orders.credentials import Credentials
from levitrio.venues.binance.orders.error_codes import ErrorKind, RefusedByVenue, meaning
from levitrio.venues.binance.orders.server_time import (
    MEASURED_AGAIN_AFTER,
    SAMPLES,
    Sample,
    VenueClock,
    is_plausible,
)
from levitrio.venues.binance.orders.signing import SIGNATURE, Parameter, ws_payload
from levitrio.venues.binance.orders.ws_api import Answer, WsApi
from levitrio.venues.binance.rate_limits.account_limits import AccountLimits
from levitrio.venues.binance.websocket.network import OpenStream, open_network_stream
from levitrio.venues.binance.websocket.request_client import HandshakeRefused, Timing

RECV_WINDOW_MS = 5_000
"""The venue's own default: how old a request may be when the venue looks at it last."""

ANSWER_WITHIN = 12.0
"""Seconds. The venue gives its own engine ten, and then says -1007."""

RESEND_WITHIN = 1.0
"""Seconds after which an order refused for its timestamp is not sent again: it was decided too
long ago, and who waits for proof that it can no longer arrive counts from its first send."""

LONGEST_WAIT = 30.0
"""Seconds a question waits for its turn; more is as good as no answer."""

RENEW_AFTER = 84_600.0
"""Seconds: half an hour before the venue's own 24 hours."""

_SAMPLE_WITHIN = 5.0


class _ServerTime(msgspec.Struct, rename="camel"):
    server_time: int


class OrderSession:
    """Used once, by one caller of `run`."""

    def __init__(
        self,
        url: str,
        *,
        credentials: Credentials,
        clock: VenueClock,
        limits: AccountLimits,
        take: Callable[[str, bytes], None],
        on_measured: Callable[[], None] = lambda: None,
        on_unauthorized: Callable[[str], None] = lambda _: None,
        timing: Timing | None = None,
        renew_after: float = RENEW_AFTER,
        open_stream: OpenStream = open_network_stream,
    ) -> None:
        """`take` gets each user data event, its kind and its JSON, as of `ws_api.WsApi`.

        `on_measured` is called after the venue's time was measured, and `on_unauthorized` with
        the venue's words when it does not accept our key.
        """
        self._credentials = credentials
        self._clock = clock
        self._limits = limits
        self._take_event = take
        self._on_measured = on_measured
        self._on_unauthorized = on_unauthorized
        self._renew_after = renew_after
        self._api = WsApi(url, take=self._take, timing=timing, open_stream=open_stream)
        self._is_logged_on = False
        self._scope = trio.CancelScope()
        self._is_prepared = False
        self.is_over = False
        self.reason = ""
        """Why it ended; empty: it was retired."""
        self.settled = trio.Event()
        """It is ready, or over."""
        self.turning = trio.Event()
        """It is over, or wants a successor."""

    @property
    def is_ready(self) -> bool:
        """Requests are answered and events arrive."""
        return self._is_prepared and self._api.is_open

    async def run(self) -> None:
        """Live to the end, and return whatever it was."""
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    self._limits.reserve(trio.current_time(), 2)  # a connection costs that much
                    await nursery.start(self._api.run)
                    await self._prepare()
                    self._is_prepared = True
                    self.settled.set()
                    nursery.start_soon(self._measure_again)
                    nursery.start_soon(self._grow_old)
        except* VenueError as group:
            self._end(first_error(group))
        finally:
            self.is_over = True
            self.settled.set()
            self.turning.set()

    async def close_when_idle(self) -> None:
        """End it once what is under way was answered, or `ANSWER_WITHIN` seconds from now."""
        with trio.move_on_after(ANSWER_WITHIN):
            await self._api.wait_quiet()
        self._scope.cancel()

    async def ask(
        self, method: str, params: Mapping[str, Parameter] | None = None, *, weight: int
    ) -> Answer:
        """Ask something signed, in its turn. Raises VenueError when there is no answer."""
        await self._wait_turn(method, weight)
        return await self._signed(method, params or {}, resend_within=LONGEST_WAIT)

    async def ask_public(self, method: str, params: Mapping[str, object], *, weight: int) -> Answer:
        """Ask what anybody may, in its turn. Raises VenueError when there is no answer."""
        await self._wait_turn(method, weight)
        answer = await self._api.request(method, params, within=ANSWER_WITHIN)
        self._heed(answer)
        return answer

    async def _wait_turn(self, method: str, weight: int) -> None:
        wait = self._limits.reserve(trio.current_time(), weight)
        if wait > LONGEST_WAIT:
            raise VenueError(f"{method}: the venue may not be asked for {wait:.0f} s")
        await trio.sleep(wait)
        ban = self._limits.blocked_for(trio.current_time())
        if ban > 0:
            raise VenueError(f"{method}: the venue may not be asked for {ban:.0f} s")

    async def send(self, method: str, params: Mapping[str, Parameter]) -> Answer:
        """Send an order or a cancel, at once. Raises VenueError when there is no answer."""
        self._limits.reserve(trio.current_time(), 1)
        return await self._signed(method, params, resend_within=RESEND_WITHIN)

    async def measure(self) -> None:
        """Ask for the venue's time. Raises VenueError when it does not tell."""
        samples: list[Sample] = []
        for _ in range(SAMPLES):
            self._limits.reserve(trio.current_time(), 1)
            sent = trio.current_time()
            answer = await self._api.request("time", {}, within=_SAMPLE_WITHIN)
            received = trio.current_time()
            self._heed(answer)
            if answer.error is not None:
                raise _refused("time", answer)
            samples.append(Sample(sent=sent, received=received, server_ms=_server_ms(answer)))
        self._clock.learn(samples)
        self._on_measured()

    async def _prepare(self) -> None:
        await self.measure()
        if self._credentials.may_log_on:
            await self._must("session.logon")
            self._is_logged_on = True
            await self._must("userDataStream.subscribe")
        else:
            await self._must("userDataStream.subscribe.signature")

    async def _must(self, method: str) -> None:
        # What is asked of a session itself carries no time, only its signature does.
        needs_time = method != "userDataStream.subscribe"
        self._limits.reserve(trio.current_time(), 2)
        if needs_time:
            answer = await self._signed(method, {}, resend_within=LONGEST_WAIT)
        else:
            answer = await self._api.request(method, {}, within=ANSWER_WITHIN)
        if answer.error is not None:
            raise _refused(method, answer)

    async def _signed(
        self, method: str, params: Mapping[str, Parameter], *, resend_within: float
    ) -> Answer:
        """Sign and ask; a refusal for the timestamp alone is asked once more."""
        began = trio.current_time()
        answer = await self._once(method, params)
        if self._heed(answer) is ErrorKind.CLOCK:
            await self.measure()
            if trio.current_time() - began <= resend_within:
                answer = await self._once(method, params)
                self._heed(answer)
        return answer

    async def _once(self, method: str, params: Mapping[str, Parameter]) -> Answer:
        signed = dict(params)
        signed["timestamp"] = self._clock.now_ms(trio.current_time())
        signed["recvWindow"] = RECV_WINDOW_MS
        if not self._is_logged_on:
            signed["apiKey"] = self._credentials.api_key.reveal()
            signed[SIGNATURE] = self._credentials.signer.sign(ws_payload(signed))
        return await self._api.request(method, signed, within=ANSWER_WITHIN)

    def _heed(self, answer: Answer) -> ErrorKind | None:
        """Learn what an answer says about limits and about our key; what its error means."""
        now = trio.current_time()
        venue_ms = self._clock.now_ms(now) if self._clock.is_known else 0
        self._limits.observe(now, venue_ms, answer.rate_limits)
        if answer.error is None:
            return None
        found = meaning(answer.status, answer.error.code, answer.error.msg)
        retry = answer.retry
        if found is ErrorKind.WAIT:
            seconds: float | None = None
            if retry.retry_after is not None:
                seconds = (retry.retry_after - (retry.server_time or venue_ms)) / 1000
            self._limits.rest_after(now, answer.status, seconds)
        elif found is ErrorKind.ORDERS_FULL:
            self._limits.orders_full(venue_ms, retry.retry_after)
        elif found is ErrorKind.UNAUTHORIZED:
            self._on_unauthorized(f"{answer.error.code} {answer.error.msg}")
        return found

    def _take(self, kind: str, event: bytes) -> None:
        if kind == "serverShutdown":
            self.turning.set()
        elif kind == "eventStreamTerminated":
            raise VenueError("the venue ended the user data stream")
        else:
            self._take_event(kind, event)

    def _end(self, error: BaseException) -> None:
        self.reason = str(error)
        if isinstance(error, HandshakeRefused) and error.status in (403, 418, 429):
            after = error.retry_after
            seconds = float(after) if after is not None and after.isdigit() else None
            self._limits.rest_after(trio.current_time(), error.status, seconds)
        elif isinstance(error, RefusedByVenue) and error.meaning is ErrorKind.UNAUTHORIZED:
            self._on_unauthorized(self.reason)

    async def _measure_again(self) -> None:
        while True:
            await trio.sleep(MEASURED_AGAIN_AFTER)
            await self.measure()

    async def _grow_old(self) -> None:
        await trio.sleep(self._renew_after)
        self.turning.set()


def _server_ms(answer: Answer) -> int:
    try:
        server_ms = msgspec.json.decode(answer.result, type=_ServerTime).server_time
    except msgspec.DecodeError as error:
        raise VenueError(f"time: expected the venue's time in ms: {error}") from None
    if not is_plausible(server_ms):
        raise VenueError(f"time: expected the venue's time in ms, got {server_ms}")
    return server_ms


def _refused(method: str, answer: Answer) -> RefusedByVenue:
    assert answer.error is not None
    return RefusedByVenue(method, answer.status, answer.error.code, answer.error.msg)
