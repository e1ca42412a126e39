"""The WS API: requests, session and user-data subscriptions of one connection. Pure.

The signed text is every parameter but the signature, sorted by name. After `session.logon`, which
takes Ed25519 keys only, requests need no key and no signature, but still a timestamp.
"""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import attrs

from levitrio.venues.binance.orders.signing import ws_payload
from levitrio.venues.simulator.api.api import SIGNED_PARAMETERS, ApiCall, ExchangeApi
from levitrio.venues.simulator.api.responses import Json
from levitrio.venues.simulator.api.rest import METHODS
from levitrio.venues.simulator.exchange import errors
from levitrio.venues.simulator.exchange.accounts import VenueAccount
from levitrio.venues.simulator.exchange.errors import ApiError
from levitrio.venues.simulator.exchange.parameters import Parameters

PATH = "/ws-api/v3"

CONNECTION_WEIGHT = 2
"""Request weight of opening a connection."""

_SESSION_WEIGHT = 2
_MOST_SUBSCRIPTIONS = 65_535
"""In the lifetime of one connection."""

_STRING_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")


@attrs.define(eq=False, kw_only=True)
class WsApiSession:
    """One connection to the WS API."""

    venue: ExchangeApi
    shows_limits: bool = True
    """Whether answers contain the state of the rate limits."""
    _account: VenueAccount | None = attrs.field(default=None, init=False)
    """The account that has logged on."""
    _logged_on_ms: int = attrs.field(default=0, init=False)
    _connected_ms: int = attrs.field(init=False)
    _subscriptions: dict[int, VenueAccount] = attrs.field(factory=dict, init=False)
    _next_subscription: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self._connected_ms = self.venue.wall_ms()

    @classmethod
    def open(cls, venue: ExchangeApi, target: str) -> "WsApiSession | None":
        """The session that a request target opens; None for a path other than the WS API's."""
        parts = urlsplit(target)
        if parts.path.rstrip("/") != PATH:
            return None
        shows = parse_qs(parts.query).get("returnRateLimits", ["true"])[-1] != "false"
        return cls(venue=venue, shows_limits=shows)

    def prepare(self, message: str | bytes) -> Iterator[None]:
        """The work that `handle` will need, in small pieces; none for most requests."""
        try:
            request = _parse(message)
            name, values, _ = _read(request)
        except ApiError:
            return
        method = METHODS.get(name)
        if method is not None and method.prepare is not None:
            yield from method.prepare(self.venue, Parameters(values))

    def handle(self, message: str | bytes) -> str:
        """Answer one request. Raises `LostReply` when its answer must not arrive."""
        request_id: object = None
        shows_limits = self.shows_limits
        try:
            request = _parse(message)
            request_id = _request_id(request)
            name, values, sent = _read(request)
            shown = values.pop("returnRateLimits", None)
            if shown is not None:
                shows_limits = shown == "true"
            api_key, signature = values.pop("apiKey", None), values.pop("signature", None)
            call = ApiCall(
                values=values,
                api_key=api_key,
                signature=signature,
                payload=ws_payload(sent),
                session=self._account,
            )
            answer: dict[str, Json] = {"status": 200, "result": self._carry_out(name, call)}
        except ApiError as refusal:
            answer = self._refusal(refusal)
        if shows_limits:
            answer["rateLimits"] = self._limits()
        return _dump({"id": request_id, **answer})

    def event(self, account: VenueAccount, event: Json) -> str | None:
        """The message of a user-data event; None when this connection has not subscribed."""
        for subscription, of in self._subscriptions.items():
            if of is account:
                return _dump({"subscriptionId": subscription, "event": event})
        return None

    def _carry_out(self, name: str, call: ApiCall) -> Json:
        method = METHODS.get(name)
        if method is not None:
            return self.venue.call(method, call)
        own = _SESSION_METHODS.get(name)
        if own is None:
            raise ApiError(-1100, f"Unknown method '{name[:64]}'.")
        self.venue.spend(_SESSION_WEIGHT)
        return own(self, call)

    def _log_on(self, call: ApiCall) -> Json:
        Parameters(call.values).check_known(SIGNED_PARAMETERS)
        account, _ = self.venue.authenticate(attrs.evolve(call, session=None))
        if not account.api_key.may_log_on:
            raise ApiError(-4056, "HMAC_SHA256 API key is not supported.")
        self._account, self._logged_on_ms = account, self.venue.wall_ms()
        return self._status(call)

    def _status(self, call: ApiCall) -> Json:
        account = self._account
        return {
            "apiKey": account.api_key.key if account is not None else None,
            "authorizedSince": self._logged_on_ms if account is not None else None,
            "connectedSince": self._connected_ms,
            "returnRateLimits": self.shows_limits,
            "serverTime": self.venue.wall_ms(),
            "userDataStream": bool(self._subscriptions),
        }

    def _log_out(self, call: ApiCall) -> Json:
        if self._account is not None:
            self._drop(self._account)
        self._account = None
        return self._status(call)

    def _subscribe(self, call: ApiCall) -> Json:
        if call.values:
            Parameters(call.values).check_known(frozenset())
        if self._account is None:
            raise errors.unauthorized()
        return self._subscribed(self._account)

    def _subscribe_signed(self, call: ApiCall) -> Json:
        Parameters(call.values).check_known(SIGNED_PARAMETERS)
        account, _ = self.venue.authenticate(attrs.evolve(call, session=None))
        return self._subscribed(account)

    def _subscribed(self, account: VenueAccount) -> Json:
        if account in self._subscriptions.values():
            raise errors.already_subscribed()
        if self._next_subscription >= _MOST_SUBSCRIPTIONS:
            raise ApiError(-2042, "Maximum subscription ID reached for this connection.")
        subscription = self._next_subscription
        self._next_subscription += 1
        self._subscriptions[subscription] = account
        return {"subscriptionId": subscription}

    def _unsubscribe(self, call: ApiCall) -> Json:
        subscription = Parameters(call.values).integer("subscriptionId")
        if subscription is None:
            self._subscriptions.clear()
        elif self._subscriptions.pop(subscription, None) is None:
            raise errors.not_subscribed()
        return {}

    def _list(self, call: ApiCall) -> Json:
        return [{"subscriptionId": each} for each in self._subscriptions]

    def _drop(self, account: VenueAccount) -> None:
        for subscription, of in list(self._subscriptions.items()):
            if of is account:
                del self._subscriptions[subscription]

    def _refusal(self, refusal: ApiError) -> dict[str, Json]:
        error: dict[str, Json] = {"code": refusal.code, "msg": refusal.message}
        if refusal.retry_ms:
            error["data"] = {"serverTime": self.venue.wall_ms(), "retryAfter": refusal.retry_ms}
        return {"status": refusal.status, "error": error}

    def _limits(self) -> Json:
        now_ms = self.venue.wall_ms()
        windows = [self.venue.weights.window]
        if self._account is not None:
            windows += self.venue.orders(self._account).windows
        return [window.report(now_ms) for window in windows]


_SESSION_METHODS = {
    "session.logon": WsApiSession._log_on,
    "session.status": WsApiSession._status,
    "session.logout": WsApiSession._log_out,
    "session.subscriptions": WsApiSession._list,
    "userDataStream.subscribe": WsApiSession._subscribe,
    "userDataStream.subscribe.signature": WsApiSession._subscribe_signed,
    "userDataStream.unsubscribe": WsApiSession._unsubscribe,
}


def _parse(message: str | bytes) -> dict[str, Any]:
    try:
        # Fractions stay texts as they were written: they are part of the signed text.
        request = json.loads(message, parse_float=str)
        message.encode() if isinstance(message, str) else message.decode()
    except (ValueError, RecursionError):
        request = None
    if not isinstance(request, dict):
        raise ApiError(-1000, "Request is not a JSON object.")
    return request


def _request_id(request: dict[str, Any]) -> object:
    value = request.get("id")
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    is_string = isinstance(value, str) and _STRING_ID.fullmatch(value) is not None
    if value is None or is_string or (is_integer and -(2**63) <= value < 2**63):
        return value
    raise ApiError(-1135, "Request id must be an integer, an alphanumeric string or null.")


def _read(request: dict[str, Any]) -> tuple[str, dict[str, str], dict[str, Any]]:
    """The method's name, its parameters as text, and as they were sent."""
    name = request.get("method")
    if not isinstance(name, str) or not name:
        raise ApiError(-1102, "Mandatory parameter 'method' was not sent.")
    sent = request.get("params")
    if sent is None:
        sent = {}
    if not isinstance(sent, dict):
        raise ApiError(-1100, "Parameter 'params' must be an object.")
    values = {key: _text(value) for key, value in sent.items() if value is not None}
    if not all(key.isprintable() and value.isprintable() for key, value in values.items()):
        # Lone surrogates and control characters are in no parameter of the venue.
        raise ApiError(-1100, "Illegal characters found in a parameter.")
    return name.removeprefix("v3/"), values, sent


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _dump(value: Json) -> str:
    return json.dumps(value, separators=(",", ":"))
