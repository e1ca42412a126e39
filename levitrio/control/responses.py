"""Writing JSON-RPC 2.0: answers and notifications as bytes. No I/O."""

import json

import msgspec

from levitrio.control.protocol import Id


def encode_result(request_id: Id, result: object) -> bytes:
    """A line that answers a call. `result` is plain data, or bytes that are JSON already."""
    body = result if isinstance(result, bytes) else encode(result)
    return b'{"jsonrpc":"2.0","id":%s,"result":%s}' % (encode(request_id), body)


def encode_error(
    request_id: Id, code: int, message: str, data: dict[str, object] | None = None
) -> bytes:
    """A line that refuses a call."""
    error: dict[str, object] = {"code": code, "message": message}
    if data:
        error["data"] = data
    return b'{"jsonrpc":"2.0","id":%s,"error":%s}' % (encode(request_id), encode(error))


def encode_notification(method: str, params: object) -> bytes:
    """A line that expects no answer."""
    return b'{"jsonrpc":"2.0","method":%s,"params":%s}' % (encode(method), encode(params))


def encode_batch(answers: list[bytes]) -> bytes:
    """The answers of one batch as one line."""
    return b"[%s]" % b",".join(answers)


def to_line(answer: bytes) -> bytes:
    """End an answer; JSON made elsewhere may be indented, and its newlines mean nothing."""
    return (answer.replace(b"\n", b" ") if b"\n" in answer else answer) + b"\n"


def encode(value: object) -> bytes:
    """Plain data as JSON. Text that is not UTF-8, as an engine's error may be, goes escaped."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(value), allow_nan=False).encode("ascii")
