"""Parses newline-delimited JSON-RPC 2.0: bytes in, calls and faults out. No I/O, no clock.

The rules, in the order in which they are applied to a line:

    1. a line longer than 64 KiB is never kept nor parsed; the connection ends with it
    2. a blank line is ignored
    3. brackets are counted before parsing: more than 32 deep is not parsed
    4. UTF-8 only; strict JSON: no NaN, no infinity, no number too large for a float
    5. an object may not hold a key twice, nor a string a lone surrogate
    6. a batch holds 1 to 32 requests; params go by name
    7. a call without `id` is a notification: carried out, never answered

A client that breaks rule 1, or sends something that is not JSON at all (an HTTP request, a TLS
hello), gets one answer and is closed. After any other fault the connection stays open.
"""

import json
import re
from collections import Counter
from typing import TypeGuard

import attrs

from levitrio.control import error_codes

MAX_FRAME = 64 * 1024
"""Bytes of one line without its newline. 1,000 symbols by name are 12 KB."""
MAX_DEPTH = 32
MAX_BATCH = 32
MAX_ID = 64
"""Characters of a textual id; bounded because every answer repeats it."""

Id = int | str | None

_MEMBERS = frozenset({"jsonrpc", "id", "method", "params"})
_METHOD = re.compile(r"[a-z][a-z0-9_.]{0,63}\Z")
# Each alternative consumes what it starts on, so the scan is linear for every line.
_BRACKETS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', re.DOTALL)


def printable(text: str, limit: int = 200) -> str:
    """`text` with control characters escaped, cut at `limit` characters."""
    safe = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[: limit + 1])
    return safe if len(safe) <= limit else safe[: limit - 3] + "..."


@attrs.frozen(kw_only=True)
class RpcCall:
    """A well-formed request; its method may not exist."""

    id: Id
    method: str
    params: dict[str, object]
    wants_answer: bool
    """False for a notification."""


@attrs.frozen(kw_only=True)
class RpcFault:
    """A request that is refused before a method is looked up."""

    id: Id
    code: int
    message: str


@attrs.frozen(kw_only=True)
class Frame:
    """The requests of one line."""

    items: tuple[RpcCall | RpcFault, ...]
    is_batch: bool = False
    closes: bool = False
    """Answer, then close: what follows cannot be split into lines reliably."""


class RpcConnection:
    """Splits the bytes of one connection into lines and parses them.

    Feed it with `receive_data`, take frames with `next_frame`. After a frame that `closes`,
    no further frame comes.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        # Bytes already searched, so that a line that comes byte by byte costs linear time.
        self._scanned = 0
        self._closed = False

    @property
    def has_partial_frame(self) -> bool:
        """Whether a line has begun and not ended."""
        return bool(self._buffer)

    def receive_data(self, data: bytes) -> None:
        """Add received bytes to the buffer."""
        if not self._closed:
            self._buffer += data

    def next_frame(self) -> Frame | None:
        """Parse the next line that is not blank; None while more bytes are needed."""
        while not self._closed:
            end = self._buffer.find(b"\n", self._scanned)
            if (end if end >= 0 else len(self._buffer)) > MAX_FRAME:
                self._buffer.clear()
                self._closed = True
                return _refuse(
                    error_codes.TOO_LARGE,
                    f"expected a line of at most {MAX_FRAME} bytes",
                    closes=True,
                )
            if end < 0:
                self._scanned = len(self._buffer)
                return None
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            self._scanned = 0
            if line.strip():
                frame = parse(line)
                self._closed = frame.closes
                return frame
        return None


def parse(line: bytes) -> Frame:
    """Parse one line, given without its newline; faults are in the frame, nothing is raised."""
    try:
        _check_depth(line)
        text = line.decode("utf-8")
        value = _decode(text)
    except (ValueError, RecursionError) as error:
        closes = line.lstrip()[:1] not in (b"{", b"[")
        return _refuse(error_codes.PARSE_ERROR, _describe(error), closes=closes)
    # Only an escape can make a lone surrogate: decoding UTF-8 has refused the raw ones.
    if "\\u" in text and not _is_text(value):
        return _refuse(error_codes.INVALID_REQUEST, "text holds a lone surrogate")
    if not isinstance(value, list):
        return Frame(items=(_parse_request(value),))
    if not 1 <= len(value) <= MAX_BATCH:
        return _refuse(
            error_codes.INVALID_REQUEST,
            f"expected a batch of 1 to {MAX_BATCH} requests, got {len(value)}",
        )
    return Frame(items=tuple(_parse_request(item) for item in value), is_batch=True)


def _refuse(code: int, message: str, *, closes: bool = False) -> Frame:
    return Frame(items=(RpcFault(id=None, code=code, message=message),), closes=closes)


def _check_depth(line: bytes) -> None:
    if line.count(b"[") + line.count(b"{") <= MAX_DEPTH:
        return  # the usual line has too few brackets to be deep
    depth = 0
    for match in _BRACKETS.finditer(line):
        token = match[0]
        if token in (b"[", b"{"):
            depth += 1
            if depth > MAX_DEPTH:
                raise ValueError(f"expected at most {MAX_DEPTH} levels of nesting")
        elif token in (b"]", b"}"):
            depth -= 1


class _RepeatedKeys(dict[str, object]):
    """A JSON object that holds `key` twice."""

    key = ""


def _finite(number: str) -> float:
    value = float(number)
    if value - value != 0.0:  # true for infinity (1e999) and nan
        raise ValueError("expected a finite number")
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(f"expected JSON, got {name}")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    found = _RepeatedKeys(members)
    found.key = next(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
    return found


# Made once: with these options `json.loads` would make a decoder for each line.
_decode = json.JSONDecoder(
    parse_float=_finite, parse_constant=_refuse_constant, object_pairs_hook=_unique
).decode


def _describe(error: ValueError | RecursionError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"expected JSON, came: {error.msg} at column {error.colno}"
    if isinstance(error, UnicodeDecodeError):
        return f"expected UTF-8, came: {error.reason} at byte {error.start}"
    return printable(str(error))


def _is_text(value: object) -> bool:
    """Whether every string in `value` can be encoded as UTF-8."""
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _repeated_key(value: object) -> str | None:
    """A key that an object in `value` holds twice."""
    if isinstance(value, _RepeatedKeys):
        return value.key
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((key for key in map(_repeated_key, inside) if key is not None), None)


def _is_id(value: object) -> TypeGuard[int | str]:
    if isinstance(value, str):
        return len(value) <= MAX_ID
    # `type`, not isinstance: True is an int too. 64 bits, which every answer can encode.
    return type(value) is int and -(2**63) <= value < 2**63


def _parse_request(value: object) -> RpcCall | RpcFault:
    def fault(code: int, message: str) -> RpcFault:
        return RpcFault(id=request_id, code=code, message=message)

    request_id: Id = None
    if not isinstance(value, dict):
        return fault(error_codes.INVALID_REQUEST, f"expected an object, got {type(value).__name__}")
    raw_id = value.get("id")
    if _is_id(raw_id):
        request_id = raw_id
    elif "id" in value:
        return fault(
            error_codes.INVALID_REQUEST,
            f"id: expected an integer or text of at most {MAX_ID} characters",
        )
    if isinstance(value, _RepeatedKeys):
        return fault(
            error_codes.INVALID_REQUEST, f"a key is there twice: {printable(value.key, 64)}"
        )
    if value.get("jsonrpc") != "2.0":
        return fault(error_codes.INVALID_REQUEST, 'jsonrpc: expected "2.0"')
    extra = value.keys() - _MEMBERS
    if extra:
        return fault(error_codes.INVALID_REQUEST, f"unknown member: {printable(min(extra), 64)}")
    method = value.get("method")
    if not isinstance(method, str):
        return fault(error_codes.INVALID_REQUEST, "method: expected text")
    if not _METHOD.match(method):
        return fault(error_codes.UNKNOWN_METHOD, error_codes.MEANING[error_codes.UNKNOWN_METHOD])
    params = value.get("params", {})
    if not isinstance(params, dict):
        return fault(
            error_codes.INVALID_PARAMS, f"params: expected an object, got {type(params).__name__}"
        )
    repeated = _repeated_key(params) if params else None
    if repeated is not None:
        return fault(
            error_codes.INVALID_PARAMS, f"params: a key is there twice: {printable(repeated, 64)}"
        )
    return RpcCall(id=request_id, method=method, params=params, wants_answer="id" in value)
