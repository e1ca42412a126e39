"""The REST API: from one HTTP request to one HTTP response. Pure.

The signed text is the query string and the body exactly as they came, without the `signature`
itself. Of a parameter in both, the query's value counts. An unknown path is answered as by the
venue's front end, without JSON.
"""

import json
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from urllib.parse import unquote_plus

import attrs

from levitrio.errors import UsageError
from levitrio.venues.simulator.api.account_methods import ACCOUNT_METHODS
from levitrio.venues.simulator.api.api import ApiCall, ApiMethod, ExchangeApi
from levitrio.venues.simulator.api.market_methods import MARKET_METHODS
from levitrio.venues.simulator.api.responses import Json
from levitrio.venues.simulator.api.ticker_methods import TICKER_METHODS
from levitrio.venues.simulator.exchange import errors
from levitrio.venues.simulator.exchange.errors import ApiError
from levitrio.venues.simulator.exchange.faults import Faults
from levitrio.venues.simulator.exchange.parameters import Parameters
from levitrio.venues.simulator.exchange.rate_limits import ORDERS_10S, ORDERS_DAY

METHODS = MARKET_METHODS | TICKER_METHODS | ACCOUNT_METHODS

ROUTES = {
    ("GET", "ping"): "ping",
    ("GET", "time"): "time",
    ("GET", "exchangeInfo"): "exchangeInfo",
    ("GET", "depth"): "depth",
    ("GET", "trades"): "trades.recent",
    ("GET", "historicalTrades"): "trades.historical",
    ("GET", "aggTrades"): "trades.aggregate",
    ("GET", "klines"): "klines",
    ("GET", "uiKlines"): "uiKlines",
    ("GET", "avgPrice"): "avgPrice",
    ("GET", "ticker"): "ticker",
    ("GET", "ticker/price"): "ticker.price",
    ("GET", "ticker/bookTicker"): "ticker.book",
    ("GET", "ticker/24hr"): "ticker.24hr",
    ("POST", "order"): "order.place",
    ("POST", "order/test"): "order.test",
    ("GET", "order"): "order.status",
    ("DELETE", "order"): "order.cancel",
    ("GET", "openOrders"): "openOrders.status",
    ("DELETE", "openOrders"): "openOrders.cancelAll",
    ("GET", "allOrders"): "allOrders",
    ("GET", "myTrades"): "myTrades",
    ("GET", "account"): "account.status",
    ("GET", "account/commission"): "account.commission",
    ("GET", "rateLimit/order"): "account.rateLimits.orders",
}
"""Verb and path below `/api/v3/` -> method."""

FAULTS_PATH = "/sim/faults"
"""Not of the real venue: GET returns the present faults, POST takes a JSON object of changes,
DELETE ends all faults."""

_PREFIX = "/api/v3/"

_NOT_FOUND = b"<html><body><h2>404 Not found</h2></body></html>"

_EMPTY_BODY = b""


@attrs.frozen(kw_only=True)
class HttpRequest:
    """One request, decoded as far as HTTP goes."""

    verb: str
    target: str
    """Path and query, as sent."""
    headers: Mapping[str, str]
    """Names in lower case; the last value of a repeated name."""
    body: bytes = b""


@attrs.frozen(kw_only=True)
class HttpResponse:
    """The answer to one request."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = "application/json;charset=UTF-8"


def prepare(venue: ExchangeApi, request: HttpRequest) -> Iterator[None]:
    """The work that `handle` will need, in small pieces; none for most requests."""
    method = _method(request)
    if method is not None and method.prepare is not None:
        query = request.target.partition("?")[2]
        yield from method.prepare(venue, Parameters(dict(_pairs(query))))


def handle(venue: ExchangeApi, request: HttpRequest) -> HttpResponse:
    """Answer a request. Raises `LostReply` when its answer must not arrive."""
    path, _, query = request.target.partition("?")
    if path == FAULTS_PATH:
        return _faults(venue, request)
    method = _method(request)
    if method is None:
        return _no_such_path(path)
    try:
        call = _call(request, query)
        result = venue.call(method, call)
    except ApiError as refusal:
        return _refusal(venue, refusal)
    return HttpResponse(
        status=200, body=_dump(result), headers=_usage(venue) + _counts(venue, request, call)
    )


def _method(request: HttpRequest) -> ApiMethod | None:
    path = request.target.partition("?")[0]
    if not path.startswith(_PREFIX):
        return None
    name = ROUTES.get((request.verb, path.removeprefix(_PREFIX)))
    return None if name is None else METHODS[name]


def _no_such_path(path: str) -> HttpResponse:
    known = {name for _, name in ROUTES}
    if path.startswith(_PREFIX) and path.removeprefix(_PREFIX) in known:
        return HttpResponse(status=405, body=_EMPTY_BODY)
    return HttpResponse(status=404, body=_NOT_FOUND, content_type="text/html")


def _call(request: HttpRequest, query: str) -> ApiCall:
    try:
        body = request.body.decode()
        sent = _with_body(query, body)
    except UnicodeDecodeError:
        raise ApiError(-1100, "Illegal characters found in a parameter.") from None
    signature = sent.pop("signature", None)
    return ApiCall(
        values=sent,
        api_key=request.headers.get("x-mbx-apikey"),
        signature=signature,
        payload=_unsigned(query) + _unsigned(body),
    )


def _with_body(query: str, body: str) -> dict[str, str]:
    sent: dict[str, str] = {}
    for source in (query, body):
        found: dict[str, str] = {}
        for name, value in _pairs(source):
            if name in found:
                raise errors.duplicated()
            found[name] = value
        sent = found | sent
    return sent


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for part in text.split("&"):
        if part:
            name, _, value = part.partition("=")
            yield unquote_plus(name, errors="strict"), unquote_plus(value, errors="strict")


def _unsigned(text: str) -> str:
    """The same text without its signature; nothing else may change by a byte."""
    return "&".join(part for part in text.split("&") if not part.startswith("signature="))


def _usage(venue: ExchangeApi) -> tuple[tuple[str, str], ...]:
    used = str(venue.weights.window.used(venue.wall_ms()))
    return (("X-MBX-USED-WEIGHT", used), ("X-MBX-USED-WEIGHT-1M", used))


def _counts(venue: ExchangeApi, request: HttpRequest, call: ApiCall) -> tuple[tuple[str, str], ...]:
    """The order counts, sent with each new order."""
    if request.verb != "POST" or not request.target.startswith(_PREFIX + "order"):
        return ()
    account = venue.signer(call)
    names = {ORDERS_10S: "X-MBX-ORDER-COUNT-10S", ORDERS_DAY: "X-MBX-ORDER-COUNT-1D"}
    now_ms = venue.wall_ms()
    return tuple(
        (names[window.rule], str(window.used(now_ms))) for window in venue.orders(account).windows
    )


def _refusal(venue: ExchangeApi, refusal: ApiError) -> HttpResponse:
    headers = _usage(venue)
    if refusal.retry_ms:
        seconds = max(1, -(-(refusal.retry_ms - venue.wall_ms()) // 1000))
        headers += (("Retry-After", str(seconds)),)
    body = _dump({"code": refusal.code, "msg": refusal.message})
    return HttpResponse(status=refusal.status, body=body, headers=headers)


def _faults(venue: ExchangeApi, request: HttpRequest) -> HttpResponse:
    if request.verb in {"POST", "DELETE"}:
        try:
            changes = _changes(request.body) if request.verb == "POST" else {}
            base = venue.faults.now if request.verb == "POST" else None
            venue.faults.replace(Faults.parse(changes, base=base))
        except UsageError as error:
            return HttpResponse(status=400, body=_dump({"error": str(error)}))
    elif request.verb != "GET":
        return HttpResponse(status=405, body=_EMPTY_BODY)
    return HttpResponse(status=200, body=_dump(attrs.asdict(venue.faults.now)))


def _changes(body: bytes) -> dict[str, Json]:
    try:
        changes = json.loads(body)
    except (ValueError, RecursionError):
        changes = None
    if not isinstance(changes, dict):
        raise UsageError(
            f'faults: expected a JSON object such as {{"gap_every": 9}}, got {body[:60]!r}'
        )
    return changes


def _dump(value: Json) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def reason_of(status: int) -> str:
    """The reason phrase of a status line."""
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else ""
