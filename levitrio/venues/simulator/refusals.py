"""What the venue says when it refuses: HTTP status, code and text. Pure.

Codes and texts are the venue's own, because clients decide by them.
"""


class Refused(Exception):
    """A request that the venue answers with an error. Caught where the answer is written."""

    def __init__(self, code: int, message: str, *, status: int = 400, retry_ms: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        """As in HTTP; the WS API uses the same."""
        self.retry_ms = retry_ms
        """When to come back, wall time in ms since 1970; 0: not a matter of time."""


def unauthorized() -> Refused:
    return Refused(-1002, "You are not authorized to execute this request.", status=401)


def too_much_weight(limit: int, retry_ms: int) -> Refused:
    text = (
        f"Too much request weight used; current limit is {limit} request weight per 1 MINUTE. "
        "Please use WebSocket Streams for live updates to avoid polling the API."
    )
    return Refused(-1003, text, status=429, retry_ms=retry_ms)


def banned(until_ms: int) -> Refused:
    text = (
        f"Way too much request weight used; IP banned until {until_ms}. "
        "Please use WebSocket Streams for live updates to avoid bans."
    )
    return Refused(-1003, text, status=418, retry_ms=until_ms)


def unknown_outcome() -> Refused:
    text = (
        "Timeout waiting for response from backend server. "
        "Send status unknown; execution status unknown."
    )
    return Refused(-1007, text, status=504)


def filter_failure(name: str) -> Refused:
    return Refused(-1013, f"Filter failure: {name}")


def too_many_orders(limit: int, window: str, retry_ms: int) -> Refused:
    text = f"Too many new orders; current limit is {limit} orders per {window}."
    return Refused(-1015, text, status=429, retry_ms=retry_ms)


def too_late() -> Refused:
    return Refused(-1021, "Timestamp for this request is outside of the recvWindow.")


def too_early() -> Refused:
    return Refused(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")


def wrong_signature() -> Refused:
    return Refused(-1022, "Signature for this request is not valid.")


def illegal(name: str, legal: str) -> Refused:
    return Refused(
        -1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'."
    )


def duplicated() -> Refused:
    return Refused(-1101, "Duplicate values for a parameter detected.")


def missing(name: str) -> Refused:
    return Refused(
        -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    )


def missing_both(one: str, other: str) -> Refused:
    return Refused(-1102, f"Param '{one}' or '{other}' must be sent, but both were empty/null!")


def unread(read: int, sent: int) -> Refused:
    return Refused(
        -1104,
        f"Not all sent parameters were read; read '{read}' parameter(s) but was sent '{sent}'.",
    )


def empty(name: str) -> Refused:
    return Refused(-1105, f"Parameter '{name}' was empty.")


def not_required(name: str) -> Refused:
    return Refused(-1106, f"Parameter '{name}' sent when not required.")


def too_precise(name: str) -> Refused:
    return Refused(-1111, f"Parameter '{name}' has too much precision.")


def invalid_time_in_force() -> Refused:
    return Refused(-1115, "Invalid timeInForce.")


def invalid_type() -> Refused:
    return Refused(-1116, "Invalid orderType.")


def invalid_side() -> Refused:
    return Refused(-1117, "Invalid side.")


def invalid_interval() -> Refused:
    return Refused(-1120, "Invalid interval.")


def invalid_symbol() -> Refused:
    return Refused(-1121, "Invalid symbol.")


def too_long(hours: int) -> Refused:
    return Refused(-1127, f"More than {hours} hours between startTime and endTime.")


def invalid_combination() -> Refused:
    return Refused(-1128, "Combination of optional parameters invalid.")


def invalid_data(name: str) -> Refused:
    return Refused(-1130, f"Data sent for parameter '{name}' is not valid.")


def window_too_long() -> Refused:
    return Refused(-1131, "recvWindow must be less than 60000.")


def insufficient_balance() -> Refused:
    return Refused(-2010, "Account has insufficient balance for requested action.")


def duplicate_order() -> Refused:
    return Refused(-2010, "Duplicate order sent.")


def would_take() -> Refused:
    return Refused(-2010, "Order would immediately match and take.")


def market_closed() -> Refused:
    """Nothing of this symbol is traded now."""
    return Refused(-2010, "Market is closed.")


def would_trigger() -> Refused:
    return Refused(-2010, "Order would trigger immediately.")


def unknown_order() -> Refused:
    return Refused(-2011, "Unknown order sent.")


def cancel_restricted() -> Refused:
    return Refused(-2011, "Order was not canceled due to cancel restrictions.")


def no_such_order() -> Refused:
    return Refused(-2013, "Order does not exist.")


def malformed_key() -> Refused:
    return Refused(-2014, "API-key format invalid.", status=401)


def unknown_key() -> Refused:
    return Refused(-2015, "Invalid API-key, IP, or permissions for action.", status=401)


def already_subscribed() -> Refused:
    return Refused(-2035, "User Data Stream subscription already active.")


def not_subscribed() -> Refused:
    return Refused(-2036, "User Data Stream subscription not active.")
