"""Keeps one session with the venue open, and says when something may have been missed.

A session that grows old, or whose venue announces a shutdown, is replaced while it works: the
successor listens before the old one goes. One that broke is replaced after a pause, and what was
reported meanwhile is lost.
"""

from collections.abc import Callable

import trio

from levitrio.venues.binance.orders.session import OrderSession
from levitrio.venues.binance.rate_limits.account_limits import AccountLimits
from levitrio.venues.binance.rate_limits.token_bucket import TokenBucket
from levitrio.venues.binance.websocket.request_client import Backoff

STABLE_AFTER = 60.0
"""Seconds of life after which a session that breaks was no failure to connect."""

UNAUTHORIZED_PAUSE = 60.0
"""Seconds. A key that is refused again and again gets the whole address banned."""


class SessionKeeper:
    """Used by one broker; `run` it once."""

    def __init__(
        self,
        open_session: Callable[[], OrderSession],
        *,
        limits: AccountLimits,
        attempts: TokenBucket,
        backoff: Backoff,
        chance: Callable[[], float],
        tell: Callable[[str, str], None],
        on_ready: Callable[[OrderSession], None],
        on_missed: Callable[[], None],
    ) -> None:
        """`open_session` makes a session that is not running yet.

        `tell` gets a kind and a text; `on_ready` each session that is; `on_missed` is called
        when events may have been missed, once a session receives again.
        """
        self._open_session = open_session
        self._limits = limits
        self._attempts = attempts
        self._backoff = backoff
        self._chance = chance
        self._tell = tell
        self._on_ready = on_ready
        self._on_missed = on_missed
        self._session: OrderSession | None = None
        self._opened = trio.Event()
        self._has_listened = False
        self.is_refused = False
        """The venue does not accept our key; set where the refusal arrives, reset here."""

    @property
    def session(self) -> OrderSession | None:
        """The session that takes requests now; None: there is none."""
        return self._session if self._session is not None and self._session.is_ready else None

    async def wait_session(self) -> OrderSession:
        """Wait until a session takes requests."""
        while (session := self.session) is None:
            await self._opened.wait()
        return session

    async def run(self) -> None:
        """Connect and reconnect until cancelled, which closes everything at once."""
        failures = 0
        async with trio.open_nursery() as nursery:
            while True:
                await self._wait_turn()
                session = self._open_session()
                nursery.start_soon(session.run)
                await session.settled.wait()
                began = trio.current_time()
                if session.is_ready:
                    self._succeed(session, nursery)
                    await session.turning.wait()
                if session.is_over:
                    if trio.current_time() - began >= STABLE_AFTER:
                        failures = 0
                    self._tell("broker_disconnected", f"connection for orders: {session.reason}")
                    await trio.sleep(self._backoff(failures, self._chance()))
                    failures += 1

    def _succeed(self, session: OrderSession, nursery: trio.Nursery) -> None:
        was, self._session = self._session, session
        self._opened.set()
        self._opened = trio.Event()
        self.is_refused = False
        if was is not None and not was.is_over:
            nursery.start_soon(was.close_when_idle)
            self._tell("broker_renewed", "a new connection for orders took over")
        else:
            self._tell("broker_connected", "orders can be sent")
            if self._has_listened:
                self._on_missed()
        self._has_listened = True
        self._on_ready(session)

    async def _wait_turn(self) -> None:
        if self.is_refused:
            await trio.sleep(UNAUTHORIZED_PAUSE)
        await trio.sleep(self._attempts.reserve(trio.current_time()))
        await trio.sleep(self._limits.blocked_for(trio.current_time()))
