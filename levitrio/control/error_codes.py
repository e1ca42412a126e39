"""The error codes of the control socket, for server and client. Imports nothing."""

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
UNKNOWN_METHOD = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
BUSY = -32001
TOO_LARGE = -32002
UNKNOWN_SYMBOL = -32010
REFUSED = -32011

MEANING = {
    PARSE_ERROR: "not JSON",
    INVALID_REQUEST: "not a JSON-RPC 2.0 request",
    UNKNOWN_METHOD: "no such method",
    INVALID_PARAMS: "wrong params",
    INTERNAL_ERROR: "a bug in the fleet; its log says more",
    BUSY: "busy",
    TOO_LARGE: "too large",
    UNKNOWN_SYMBOL: "unknown symbol",
    REFUSED: "refused in this state",
}

MAX_RESPONSE = 8 * 1024 * 1024
"""Bytes of one answer: 10,000 engines at 600 bytes each fit, a mistake does not."""
