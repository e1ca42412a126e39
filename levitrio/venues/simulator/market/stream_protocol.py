"""The protocol of one market-stream connection: paths, subscriptions, control messages. Pure.

Paths: `/ws` and `/ws/<stream>[/<stream>...]` start raw, `/stream?streams=<stream>[/...]` starts
combined. Clients open `/ws/0` and the like and subscribe afterwards: a name that is no stream
is ignored there. Subscribing twice is one subscription. An unknown name is accepted and stays
silent, as on the venue.
"""

import json
import re
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import attrs

from levitrio.trading.candles import INTERVALS
from levitrio.trading.market import SYMBOL

_KINDS = frozenset({"trade", "aggTrade", "bookTicker"})
_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
_DEPTH = re.compile(r"depth(5|10|20)?(@100ms)?")
_STRING_ID = re.compile(r"[A-Za-z0-9_-]{0,36}")


@attrs.frozen(kw_only=True)
class StreamName:
    """A stream the simulator can make itself."""

    symbol: str
    """Upper case."""
    kind: str
    """`trade`, `aggTrade`, `bookTicker`, `kline` or `depth`."""
    interval: str = ""
    """Only of a kline."""
    levels: int = 0
    """Only of a depth stream: levels in each event; 0 sends changes."""
    is_fast: bool = False
    """Only of a depth stream: `@100ms`."""


def parse_stream(name: str) -> StreamName | None:
    """Symbol and kind of a stream; None for one that the simulator does not make."""
    symbol, at, kind = name.partition("@")
    upper = symbol.upper()
    if not at or not symbol.isascii() or symbol != symbol.lower() or not SYMBOL.match(upper):
        return None
    if kind in _KINDS:
        return StreamName(symbol=upper, kind=kind)
    depth = _DEPTH.fullmatch(kind)
    if depth is not None:
        levels, fast = depth.groups()
        return StreamName(
            symbol=upper, kind="depth", levels=int(levels or 0), is_fast=fast is not None
        )
    base, _, interval = kind.partition("_")
    if base == "kline" and interval in INTERVALS:
        return StreamName(symbol=upper, kind="kline", interval=interval)
    return None


@attrs.frozen(kw_only=True)
class ControlReply:
    """The answer to a control message; it goes out before the subscriptions take effect."""

    text: str
    added: tuple[str, ...] = ()
    """Streams that were not subscribed before."""
    removed: tuple[str, ...] = ()


class _ControlError(Exception):
    """A control message the venue answers with an error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@attrs.define(eq=False, kw_only=True)
class StreamSession:
    """One connection's side of the protocol."""

    combined: bool
    """Payloads go out inside `{"stream":...,"data":...}`."""
    subscriptions: dict[str, None]
    """Stream names in the order of subscribing."""

    @classmethod
    def open(cls, target: str) -> "StreamSession | None":
        """The session that a request target opens; None when there is nothing at that path."""
        parts = urlsplit(target)
        path = parts.path
        if path == "/stream":
            names = "/".join(parse_qs(parts.query).get("streams", []))
            combined = True
        elif path in {"/ws", "/ws/"} or path.startswith("/ws/"):
            names = unquote(path[len("/ws/") :])
            combined = False
        else:
            return None
        streams = {name: None for name in names.split("/") if "@" in name or name.startswith("!")}
        return cls(combined=combined, subscriptions=streams)

    def handle(self, message: str | bytes) -> ControlReply:
        """Answer one message of the client; no content of it raises."""
        request_id: object = None
        try:
            request = _parse(message)
            request_id = _request_id(request)
            return self._carry_out(request, request_id, message)
        except _ControlError as error:
            body: dict[str, object] = {"code": error.code, "msg": error.message}
            if request_id is not None:
                body["id"] = request_id
            return ControlReply(text=_dump(body))

    def _carry_out(
        self, request: dict[str, Any], request_id: object, message: str | bytes
    ) -> ControlReply:
        method = request.get("method")
        if method is None:
            raise _ControlError(2, f"Invalid request: missing field `method` at {_end(message)}")
        if method not in _METHODS:
            known = ", ".join(f"`{name}`" for name in _METHODS)
            raise _ControlError(
                2,
                f"Invalid request: unknown variant `{_word(method)}`, expected one of {known} "
                f"at {_end(message)}",
            )
        params = request.get("params", [])
        if not isinstance(params, list):
            raise _ControlError(2, "Invalid request: expected a sequence of parameters")
        if method == "LIST_SUBSCRIPTIONS":
            return _reply(request_id, list(self.subscriptions))
        if method == "GET_PROPERTY":
            self._check_property(params, count=1)
            return _reply(request_id, self.combined)
        if method == "SET_PROPERTY":
            return self._set_property(request_id, params)
        names = _stream_names(params)
        if method == "SUBSCRIBE":
            added = tuple(name for name in names if name not in self.subscriptions)
            self.subscriptions.update(dict.fromkeys(added))
            return _reply(request_id, None, added=added)
        removed = tuple(name for name in names if name in self.subscriptions)
        for name in removed:
            del self.subscriptions[name]
        return _reply(request_id, None, removed=removed)

    def _set_property(self, request_id: object, params: list[Any]) -> ControlReply:
        self._check_property(params, count=2)
        if len(params) < 2 or not isinstance(params[1], bool):
            raise _ControlError(1, "Invalid value type: expected Boolean")
        self.combined = params[1]
        return _reply(request_id, None)

    @staticmethod
    def _check_property(params: list[Any], *, count: int) -> None:
        if len(params) > count:
            raise _ControlError(2, "Invalid request: too many parameters")
        if not params or not isinstance(params[0], str):
            raise _ControlError(2, "Invalid request: property name must be a string")
        if params[0] != "combined":
            raise _ControlError(0, "Unknown property")


def _parse(message: str | bytes) -> dict[str, Any]:
    try:
        request = json.loads(message)
    except json.JSONDecodeError as error:
        raise _ControlError(
            3, f"Invalid JSON: expected value at line {error.lineno} column {error.colno}"
        ) from None
    except (ValueError, RecursionError):
        # Bytes that are not UTF-8, a number of thousands of digits, endless brackets.
        raise _ControlError(3, "Invalid JSON: expected value at line 1 column 1") from None
    if not isinstance(request, dict):
        raise _ControlError(2, f"Invalid request: missing field `method` at {_end(message)}")
    return request


def _request_id(request: dict[str, Any]) -> object:
    value = request.get("id")
    is_integer = (
        isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63
    )
    is_string = isinstance(value, str) and _STRING_ID.fullmatch(value) is not None
    if value is None or is_integer or is_string:
        return value
    # The venue's own text, although it accepts more than that.
    raise _ControlError(2, "Invalid request: request ID must be an unsigned integer")


def _stream_names(params: list[Any]) -> dict[str, None]:
    for name in params:
        if not isinstance(name, str):
            raise _ControlError(2, "Invalid request: stream name must be a string")
    return dict.fromkeys(params)


def _reply(
    request_id: object,
    result: object,
    *,
    added: tuple[str, ...] = (),
    removed: tuple[str, ...] = (),
) -> ControlReply:
    text = _dump({"result": result, "id": request_id})
    return ControlReply(text=text, added=added, removed=removed)


def _dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _word(value: object) -> str:
    return value if isinstance(value, str) else _dump(value)


def _end(message: str | bytes) -> str:
    """The position of the venue's parser at the end of a message, in its own format."""
    text = message if isinstance(message, str) else message.decode("utf-8", "replace")
    last_line = text.rsplit("\n", 1)[-1]
    return f"line {text.count(chr(10)) + 1} column {len(last_line)}"
