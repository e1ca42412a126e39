"""Learns the venue's filters and symbol status by REST, without a key, for the paper broker.

It sends the queries of `ExchangeInfo`, which needs an account's session. A venue that does not
answer holds nothing up: paper begins with default rules, reports it, and asks again.
"""

from collections.abc import Callable, Mapping
from typing import NoReturn

import msgspec
import trio

from levitrio.errors import VenueError
from levitrio.trading.filters import SymbolRules
from levitrio.venues.binance.orders.error_codes import ErrorKind, RefusedByVenue, meaning
from levitrio.venues.binance.orders.exchange_info import ExchangeInfo, OnListed
from levitrio.venues.binance.orders.ws_api import Answer, ErrorBody
from levitrio.venues.binance.rest import HttpRefusal, RestClient

PATIENCE = 2.0
"""Seconds a first order waits for the venue's rules: engines start within five."""

RETRY = 10.0
"""Seconds between two attempts, and without any after one that failed: a thousand symbols that each
try for themselves would use up the weight that market data needs."""


class PublicExchangeInfo:
    """Implements `venues.paper.Rulebook`."""

    def __init__(
        self,
        client: Callable[[], RestClient | None],
        on_listed: OnListed,
        tell: Callable[[str, str, str | None], None],
    ) -> None:
        """Make one; nothing is asked before `learn`.

        Args:
            client: Asked each time; None: there is no venue to ask, as in a replay.
            on_listed: As in `ExchangeInfo`.
            tell: Called with kind, text and symbol: those of `ExchangeInfo`,
                `filters_unknown` when orders have to keep to default rules, and
                `filters_known` when that is over.
        """
        self._client = client
        self._tell = tell
        self._exchange_info = ExchangeInfo(on_listed, tell)
        self._missing: set[str] = set()
        self._refused: set[str] = set()
        """The missing symbols that the venue has refused by name."""
        self._quiet_until = float("-inf")
        self._is_unknown = False

    async def learn(self, symbol: str) -> None:
        """Return once the symbol's filters are known, or cannot be had for now."""
        if self._client() is None:
            return
        with trio.move_on_after(PATIENCE) as patience:
            await self._try(symbol)
        if patience.cancelled_caught:
            self._failed(symbol, f"no answer in {PATIENCE:g} s")

    async def keep_fresh(self) -> NoReturn:
        """Ask again for missing filters, and every few minutes for known ones, until cancelled."""
        if self._client() is None:
            await trio.sleep_forever()  # a replay's clock stops at every deadline
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._exchange_info.keep_fresh, self._wait)
            while True:
                await trio.sleep(RETRY)
                async with trio.open_nursery() as asking:
                    for symbol in sorted(self._missing):
                        asking.start_soon(self._try, symbol)

    async def ask_public(self, method: str, params: Mapping[str, object], *, weight: int) -> Answer:
        """Send a public query, as a session does.

        Raises:
            VenueError: There is no answer.
        """
        client = self._client()
        if client is None or trio.current_time() < self._quiet_until:
            raise VenueError("the venue was asked a moment ago, and did not tell")
        query = {name: msgspec.json.encode(value).decode() for name, value in params.items()}
        try:
            body = await client.get(f"/api/v3/{method}", query, weight=weight)
        except HttpRefusal as refusal:
            code = refusal.code
            if (
                code is None
                or meaning(refusal.status, code, refusal.msg) is not ErrorKind.MALFORMED
            ):
                raise  # it is about the venue or us, not about a symbol
            return Answer(status=refusal.status, error=ErrorBody(code=code, msg=refusal.msg))
        return Answer(status=200, result=msgspec.Raw(body))

    async def _try(self, symbol: str) -> None:
        try:
            await self._exchange_info.learn(self, symbol)
        except RefusedByVenue as error:
            self._missing.add(symbol)
            if symbol not in self._refused:
                self._refused.add(symbol)
                self._tell("listing_unread", f"{symbol}: its filters: {error}", symbol)
        except VenueError as error:
            self._failed(symbol, str(error))
        else:
            self._missing.discard(symbol)
            self._refused.discard(symbol)
            if self._is_unknown and self._missing <= self._refused:
                self._is_unknown = False
                self._tell("filters_known", "orders keep to the venue's own rules again", None)

    def _failed(self, symbol: str, why: str) -> None:
        self._missing.add(symbol)
        now = trio.current_time()
        if now >= self._quiet_until:
            self._quiet_until = now + RETRY / 2
        if not self._is_unknown:
            self._is_unknown = True
            usual = SymbolRules()
            text = (
                f"the venue's filters are not known ({why}): paper orders keep to steps of "
                f"{usual.step:f} and a worth of {usual.min_notional:f} until it tells"
            )
            self._tell("filters_unknown", text, None)

    async def _wait(self) -> "PublicExchangeInfo":
        await trio.lowlevel.checkpoint()
        return self
