"""Encodes JSON-RPC 2.0 answers and notifications. No I/O."""

import json

import msgspec

from levitrio.control.protocol import Id


def encode_result(request_id: Id, result: object) -> bytes:
    """Encode the answer to a call; `result` is plain data, or bytes that are already JSON."""
    body = result if isinstance(result, bytes) else encode(result)
    return b'{"jsonrpc":"2.0","id":%s,"result":%s}' % (encode(request_id), body)


def encode_error(
    request_id: Id, code: int, message: str, data: dict[str, object] | None = None
) -> bytes:
    """Encode an error answer.

    Args:
        request_id: The id of the call; None when it is not known.
        code: One of `error_codes`.
        message: The reason, for people.
        data: More for the client; left out when empty.
    """
    error: dict[str, object] = {"code": code, "message": message}
    if data:
        error["data"] = data
    return b'{"jsonrpc":"2.0","id":%s,"error":%s}' % (encode(request_id), encode(error))


def encode_notification(method: str, params: object) -> bytes:
    """Encode a notification: a message that expects no answer."""
    return b'{"jsonrpc":"2.0","method":%s,"params":%s}' % (encode(method), encode(params))


def encode_batch(answers: list[bytes]) -> bytes:
    """Join the answers of one batch."""
    return b"[%s]" % b",".join(answers)


def to_line(answer: bytes) -> bytes:
    """End an answer with a newline; newlines inside it, from indented JSON, become spaces."""
    return (answer.replace(b"\n", b" ") if b"\n" in answer else answer) + b"\n"


def encode(value: object) -> bytes:
    """Encode plain data as JSON; lone surrogates, as an engine's error may hold, are escaped."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(value), allow_nan=False).encode("ascii")
