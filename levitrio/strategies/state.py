"""Copies a strategy's saved state into plain JSON data, within a size limit."""

from typing import Any

import msgspec

STATE_LIMIT = 256 * 1024
"""Bytes of JSON that one strategy may keep: 1,000 engines must still fit a snapshot."""


def plain_state(value: object) -> Any:
    """Copy a strategy's state as plain JSON data, so that the strategy may go on changing it.

    As in JSON, tuples become lists, keys become text and NaN becomes None.

    Raises:
        ValueError: The state is no plain data or too large; the text is fit for the log.
    """
    try:
        data = msgspec.json.encode(value)
        copy = msgspec.json.decode(data)
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise ValueError(f"state(): expected plain data, got: {error}") from None
    if len(data) > STATE_LIMIT:
        raise ValueError(f"state(): expected at most {STATE_LIMIT} bytes of JSON, got {len(data)}")
    return copy
