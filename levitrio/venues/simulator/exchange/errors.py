"""The venue's errors: HTTP status, code and text. Pure.

Codes and texts are the real venue's, because clients decide by them.
"""


class ApiError(Exception):
    """A request that the venue answers with an error. Caught where the answer is written."""

    def __init__(self, code: int, message: str, *, status: int = 400, retry_ms: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        """HTTP status; the WS API uses the same."""
        self.retry_ms = retry_ms
        """Wall time to retry at, ms since 1970; 0: waiting does not help."""


def unauthorized() -> ApiError:
    """-1002: the connection has not logged on."""
    return ApiError(-1002, "You are not authorized to execute this request.", status=401)


def too_much_weight(limit: int, retry_ms: int) -> ApiError:
    """-1003 with 429: the request weight of the minute is used up."""
    text = (
        f"Too much request weight used; current limit is {limit} request weight per 1 MINUTE. "
        "Please use WebSocket Streams for live updates to avoid polling the API."
    )
    return ApiError(-1003, text, status=429, retry_ms=retry_ms)


def banned(until_ms: int) -> ApiError:
    """-1003 with 418: the address is banned for a while."""
    text = (
        f"Way too much request weight used; IP banned until {until_ms}. "
        "Please use WebSocket Streams for live updates to avoid bans."
    )
    return ApiError(-1003, text, status=418, retry_ms=until_ms)


def unknown_outcome() -> ApiError:
    """-1007: the order may or may not have been accepted."""
    text = (
        "Timeout waiting for response from backend server. "
        "Send status unknown; execution status unknown."
    )
    return ApiError(-1007, text, status=504)


def filter_failure(name: str) -> ApiError:
    """-1013: the order breaks one of the symbol's filters."""
    return ApiError(-1013, f"Filter failure: {name}")


def too_many_orders(limit: int, window: str, retry_ms: int) -> ApiError:
    """-1015: the account's order count of a window is used up."""
    text = f"Too many new orders; current limit is {limit} orders per {window}."
    return ApiError(-1015, text, status=429, retry_ms=retry_ms)


def too_late() -> ApiError:
    """-1021: the timestamp is older than the recvWindow."""
    return ApiError(-1021, "Timestamp for this request is outside of the recvWindow.")


def too_early() -> ApiError:
    """-1021: the timestamp lies in the future."""
    return ApiError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")


def wrong_signature() -> ApiError:
    """-1022: the signature does not verify."""
    return ApiError(-1022, "Signature for this request is not valid.")


def illegal(name: str, legal: str) -> ApiError:
    """-1100: a parameter does not match its pattern."""
    return ApiError(
        -1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'."
    )


def duplicated() -> ApiError:
    """-1101: a parameter was sent twice."""
    return ApiError(-1101, "Duplicate values for a parameter detected.")


def missing(name: str) -> ApiError:
    """-1102: a mandatory parameter is missing."""
    return ApiError(
        -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    )


def missing_both(one: str, other: str) -> ApiError:
    """-1102: neither of two parameters was sent."""
    return ApiError(-1102, f"Param '{one}' or '{other}' must be sent, but both were empty/null!")


def unread(read: int, sent: int) -> ApiError:
    """-1104: parameters were sent that the method does not read."""
    return ApiError(
        -1104,
        f"Not all sent parameters were read; read '{read}' parameter(s) but was sent '{sent}'.",
    )


def empty(name: str) -> ApiError:
    """-1105: a parameter is empty."""
    return ApiError(-1105, f"Parameter '{name}' was empty.")


def not_required(name: str) -> ApiError:
    """-1106: a parameter does not belong to this order type."""
    return ApiError(-1106, f"Parameter '{name}' sent when not required.")


def too_precise(name: str) -> ApiError:
    """-1111: a number has too many decimals."""
    return ApiError(-1111, f"Parameter '{name}' has too much precision.")


def invalid_time_in_force() -> ApiError:
    """-1115: `timeInForce` has an unknown value."""
    return ApiError(-1115, "Invalid timeInForce.")


def invalid_type() -> ApiError:
    """-1116: `type` has an unknown value."""
    return ApiError(-1116, "Invalid orderType.")


def invalid_side() -> ApiError:
    """-1117: `side` has an unknown value."""
    return ApiError(-1117, "Invalid side.")


def invalid_interval() -> ApiError:
    """-1120: `interval` has an unknown value."""
    return ApiError(-1120, "Invalid interval.")


def invalid_symbol() -> ApiError:
    """-1121: the venue does not list the symbol."""
    return ApiError(-1121, "Invalid symbol.")


def too_long(hours: int) -> ApiError:
    """-1127: `startTime` and `endTime` are too far apart."""
    return ApiError(-1127, f"More than {hours} hours between startTime and endTime.")


def invalid_combination() -> ApiError:
    """-1128: parameters exclude each other."""
    return ApiError(-1128, "Combination of optional parameters invalid.")


def invalid_data(name: str) -> ApiError:
    """-1130: a parameter has an invalid value."""
    return ApiError(-1130, f"Data sent for parameter '{name}' is not valid.")


def window_too_long() -> ApiError:
    """-1131: `recvWindow` is over 60 s."""
    return ApiError(-1131, "recvWindow must be less than 60000.")


def insufficient_balance() -> ApiError:
    """-2010: the order costs more than the free balance."""
    return ApiError(-2010, "Account has insufficient balance for requested action.")


def duplicate_order() -> ApiError:
    """-2010: an open order has the same client id."""
    return ApiError(-2010, "Duplicate order sent.")


def would_take() -> ApiError:
    """-2010: a LIMIT_MAKER order would not rest."""
    return ApiError(-2010, "Order would immediately match and take.")


def market_closed() -> ApiError:
    """-2010: the symbol is not traded now."""
    return ApiError(-2010, "Market is closed.")


def would_trigger() -> ApiError:
    """-2010: the stop price is already reached."""
    return ApiError(-2010, "Order would trigger immediately.")


def unknown_order() -> ApiError:
    """-2011: there is no such open order to cancel."""
    return ApiError(-2011, "Unknown order sent.")


def cancel_restricted() -> ApiError:
    """-2011: `cancelRestrictions` excludes the order's status."""
    return ApiError(-2011, "Order was not canceled due to cancel restrictions.")


def no_such_order() -> ApiError:
    """-2013: there is no such order to query."""
    return ApiError(-2013, "Order does not exist.")


def malformed_key() -> ApiError:
    """-2014: the API key has no valid format."""
    return ApiError(-2014, "API-key format invalid.", status=401)


def unknown_key() -> ApiError:
    """-2015: the venue does not know the API key."""
    return ApiError(-2015, "Invalid API-key, IP, or permissions for action.", status=401)


def already_subscribed() -> ApiError:
    """-2035: the connection has subscribed to the account already."""
    return ApiError(-2035, "User Data Stream subscription already active.")


def not_subscribed() -> ApiError:
    """-2036: the connection has no such subscription."""
    return ApiError(-2036, "User Data Stream subscription not active.")
