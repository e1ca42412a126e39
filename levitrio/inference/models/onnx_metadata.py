"""Reads the metadata of an ONNX file without loading it, from its outermost fields. Pure.

A model is untrusted input. The check that decides whether it may be loaded must not use a parser
in C, so the few fields needed are read here: lengths are checked, and never allocated by.
"""

from collections.abc import Iterator

METADATA = 14
"""`metadata_props` of ONNX's ModelProto: entries of key (1) and value (2)."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10


def metadata_of(model: bytes) -> dict[str, str]:
    """The metadata of an ONNX file.

    Raises:
        ValueError: it is no ONNX file.
    """
    found = {}
    for number, value in _fields(model):
        if number == METADATA and isinstance(value, bytes):
            entry = {n: v for n, v in _fields(value) if isinstance(v, bytes)}
            found[entry.get(1, b"").decode()] = entry.get(2, b"").decode()
    return found


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if kind == _BYTES:
            size, at = _varint(data, at)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"expected a field of protobuf at byte {at}, got kind {kind}")
        if size > len(data) - at:
            raise ValueError(f"expected {size} more bytes, got {len(data) - at}")
        yield number, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(_LONGEST_VARINT):
        if at >= len(data):
            raise ValueError("expected more of a number, got the end")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << (7 * shift)
        if byte < 0x80:
            return value, at
    raise ValueError(f"expected a number of at most {_LONGEST_VARINT} bytes before byte {at}")
