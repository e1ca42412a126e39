"""What the venue says when it refuses: HTTP status, code and text. Pure.

Codes and texts are the venue's own, because clients decide by them.
"""


class ApiError(Exception):
    """A request that the venue answers with an error. Caught where the answer is written."""

    def __init__(self, code: int, message: str, *, status: int = 400, retry_ms: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        """As in HTTP; the WS API uses the same."""
        self.retry_ms = retry_ms
        """When to come back, wall time in ms since 1970; 0: not a matter of time."""


def unauthorized() -> ApiError:
    return ApiError(-1002, "You are not authorized to execute this request.", status=401)


def too_much_weight(limit: int, retry_ms: int) -> ApiError:
    text = (
        f"Too much request weight used; current limit is {limit} request weight per 1 MINUTE. "
        "Please use WebSocket Streams for live updates to avoid polling the API."
    )
    return ApiError(-1003, text, status=429, retry_ms=retry_ms)


def banned(until_ms: int) -> ApiError:
    text = (
        f"Way too much request weight used; IP banned until {until_ms}. "
        "Please use WebSocket Streams for live updates to avoid bans."
    )
    return ApiError(-1003, text, status=418, retry_ms=until_ms)


def unknown_outcome() -> ApiError:
    text = (
        "Timeout waiting for response from backend server. "
        "Send status unknown; execution status unknown."
    )
    return ApiError(-1007, text, status=504)


def filter_failure(name: str) -> ApiError:
    return ApiError(-1013, f"Filter failure: {name}")


def too_many_orders(limit: int, window: str, retry_ms: int) -> ApiError:
    text = f"Too many new orders; current limit is {limit} orders per {window}."
    return ApiError(-1015, text, status=429, retry_ms=retry_ms)


def too_late() -> ApiError:
    return ApiError(-1021, "Timestamp for this request is outside of the recvWindow.")


def too_early() -> ApiError:
    return ApiError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")


def wrong_signature() -> ApiError:
    return ApiError(-1022, "Signature for this request is not valid.")


def illegal(name: str, legal: str) -> ApiError:
    return ApiError(
        -1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'."
    )


def duplicated() -> ApiError:
    return ApiError(-1101, "Duplicate values for a parameter detected.")


def missing(name: str) -> ApiError:
    return ApiError(
        -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    )


def missing_both(one: str, other: str) -> ApiError:
    return ApiError(-1102, f"Param '{one}' or '{other}' must be sent, but both were empty/null!")


def unread(read: int, sent: int) -> ApiError:
    return ApiError(
        -1104,
        f"Not all sent parameters were read; read '{read}' parameter(s) but was sent '{sent}'.",
    )


def empty(name: str) -> ApiError:
    return ApiError(-1105, f"Parameter '{name}' was empty.")


def not_required(name: str) -> ApiError:
    return ApiError(-1106, f"Parameter '{name}' sent when not required.")


def too_precise(name: str) -> ApiError:
    return ApiError(-1111, f"Parameter '{name}' has too much precision.")


def invalid_time_in_force() -> ApiError:
    return ApiError(-1115, "Invalid timeInForce.")


def invalid_type() -> ApiError:
    return ApiError(-1116, "Invalid orderType.")


def invalid_side() -> ApiError:
    return ApiError(-1117, "Invalid side.")


def invalid_interval() -> ApiError:
    return ApiError(-1120, "Invalid interval.")


def invalid_symbol() -> ApiError:
    return ApiError(-1121, "Invalid symbol.")


def too_long(hours: int) -> ApiError:
    return ApiError(-1127, f"More than {hours} hours between startTime and endTime.")


def invalid_combination() -> ApiError:
    return ApiError(-1128, "Combination of optional parameters invalid.")


def invalid_data(name: str) -> ApiError:
    return ApiError(-1130, f"Data sent for parameter '{name}' is not valid.")


def window_too_long() -> ApiError:
    return ApiError(-1131, "recvWindow must be less than 60000.")


def insufficient_balance() -> ApiError:
    return ApiError(-2010, "Account has insufficient balance for requested action.")


def duplicate_order() -> ApiError:
    return ApiError(-2010, "Duplicate order sent.")


def would_take() -> ApiError:
    return ApiError(-2010, "Order would immediately match and take.")


def market_closed() -> ApiError:
    """Nothing of this symbol is traded now."""
    return ApiError(-2010, "Market is closed.")


def would_trigger() -> ApiError:
    return ApiError(-2010, "Order would trigger immediately.")


def unknown_order() -> ApiError:
    return ApiError(-2011, "Unknown order sent.")


def cancel_restricted() -> ApiError:
    return ApiError(-2011, "Order was not canceled due to cancel restrictions.")


def no_such_order() -> ApiError:
    return ApiError(-2013, "Order does not exist.")


def malformed_key() -> ApiError:
    return ApiError(-2014, "API-key format invalid.", status=401)


def unknown_key() -> ApiError:
    return ApiError(-2015, "Invalid API-key, IP, or permissions for action.", status=401)


def already_subscribed() -> ApiError:
    return ApiError(-2035, "User Data Stream subscription already active.")


def not_subscribed() -> ApiError:
    return ApiError(-2036, "User Data Stream subscription not active.")
