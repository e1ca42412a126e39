"""One market stream connection and its subscriptions, from its opening to its end."""

from collections.abc import Callable, Mapping

import trio

from levitrio.errors import VenueError, first_error
from levitrio.venues.binance.market_data.stream_client import StreamClient

WaitChanged = Callable[[], trio.Event]
"""The event that will be set when what is wanted changes next."""


class RenewingStream:
    """Connects, and keeps subscribed what is wanted, until it breaks or is dropped.

    `turning` is set when the feed connection must act: this one has ended, or needs a successor.
    """

    def __init__(
        self,
        connection: StreamClient,
        *,
        wanted: Mapping[str, str],
        next_change: WaitChanged,
        on_opened: Callable[[], None],
        on_subscribed: Callable[[], None],
        on_refused: Callable[[str], None],
        on_unsubscribed: Callable[[str], None],
    ) -> None:
        self.connection = connection
        self.asked: set[str] = set()
        """Stream names asked for: acknowledged, refused or on the way."""
        self.again: set[str] = set()
        """Those to be unsubscribed and subscribed anew."""
        self.is_open = False
        self.is_over = False
        self.reason: str | None = None
        """Why it broke; None: it was dropped, or nothing is wanted any more."""
        self.has_delivered = False
        self.turning = trio.Event()
        self.renewal: str | None = None
        """Why it wants a successor; None while it does not."""
        self._settled = trio.Event()
        """Everything wanted at one moment was acknowledged, or the link is over."""
        self._delivering = trio.Event()
        self._scope = trio.CancelScope()
        self._wanted = wanted
        self._next_change = next_change
        self._on_opened = on_opened
        self._on_subscribed = on_subscribed
        self._on_refused = on_refused
        self._on_unsubscribed = on_unsubscribed

    async def run(self, renew_after: float) -> None:
        """Live to the end; returns whatever it was. Asks for a successor after `renew_after` s."""
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    await nursery.start(self.connection.run)
                    self.is_open = True
                    self._on_opened()
                    nursery.start_soon(self._grow_old, renew_after)
                    await self._keep_subscribed()
                    nursery.cancel_scope.cancel()
        except* VenueError as group:
            self.reason = str(first_error(group))
        finally:
            self.is_open = False
            self.is_over = True
            for event in (self.turning, self._settled, self._delivering):
                event.set()

    def drop(self, reason: str | None = None) -> None:
        """End it now. With a reason it counts as broken."""
        self.reason = reason
        self._scope.cancel()

    def want_successor(self, why: str) -> None:
        """It will end soon: a successor should take over while it still delivers."""
        self.renewal = self.renewal or why
        self.turning.set()

    def delivers(self) -> None:
        """A sound event came over it."""
        self.has_delivered = True
        self._delivering.set()

    async def wait_proven(self, within: float) -> bool:
        """Wait until it is subscribed and delivers; False when it is over instead.

        A market may be silent: after `within` seconds without a word the acknowledgements of all
        streams are proof enough. Cancelled, the link lives on.
        """
        with trio.move_on_after(within):
            await self._settled.wait()
            await self._delivering.wait()
        if not self._settled.is_set():
            self.drop(f"expected all subscriptions within {within:g} s")
        return not self.is_over and self._settled.is_set()

    async def _grow_old(self, renew_after: float) -> None:
        await trio.sleep(renew_after)
        self.want_successor(f"it is {renew_after / 3600:.1f} h old")

    async def _keep_subscribed(self) -> None:
        """Bring the subscriptions where they are wanted, again and again; ends when none is."""
        connection, asked = self.connection, self.asked
        while self._wanted:
            missing = [name for name in self._wanted if name not in asked]
            surplus = [name for name in asked if name not in self._wanted or name in self.again]
            if missing:
                asked.update(missing)
                for name in await connection.subscribe(missing):
                    self._on_refused(name)
            if surplus:
                await connection.unsubscribe(surplus)
                asked.difference_update(surplus)
                self.again.difference_update(surplus)
                for name in surplus:
                    self._on_unsubscribed(name)
            if not missing and not surplus:
                # The venue has acknowledged every stream that is wanted now.
                self._settled.set()
                self._on_subscribed()
                await self._next_change().wait()
