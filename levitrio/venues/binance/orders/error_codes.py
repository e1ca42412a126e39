"""What an error code of the venue means for the request. Data, and the one rule that reads it.

Nothing here says "try again": what to do is decided where it is known what was asked. Only a
refusal that is certain is `REFUSED`; whatever may have been carried out is `UNKNOWN`.
"""

from enum import StrEnum

from levitrio.errors import VenueError


class ErrorKind(StrEnum):
    """What follows from an error."""

    REFUSED = "refused"
    """It was not carried out, for a reason that is part of normal work."""
    MALFORMED = "malformed"
    """It was not carried out, and never will be as it is written: a bug of ours."""
    UNKNOWN = "unknown"
    """It may have been carried out."""
    CLOCK = "clock"
    """It was not carried out: its timestamp and the venue's clock disagree."""
    WAIT = "wait"
    """It was not carried out: too much was asked. Nothing more until the venue says so."""
    ORDERS_FULL = "orders_full"
    """It was not carried out: too many orders in this window."""
    UNAUTHORIZED = "unauthorized"
    """The key is not accepted: nothing we send will be, and orders must end."""
    NO_SUCH_ORDER = "no_such_order"
    NOT_OPEN = "not_open"
    """What should be cancelled is not there, or is done already."""


CODES: dict[int, ErrorKind] = {
    -1000: ErrorKind.UNKNOWN,  # an unknown error while processing
    -1001: ErrorKind.UNKNOWN,  # disconnected inside the venue
    -1002: ErrorKind.UNAUTHORIZED,
    -1003: ErrorKind.WAIT,  # too much weight, or banned
    -1006: ErrorKind.UNKNOWN,  # an unexpected answer inside the venue
    -1007: ErrorKind.UNKNOWN,  # no answer inside the venue within ten seconds
    -1008: ErrorKind.UNKNOWN,  # overloaded; the documents do not promise that it was dropped
    -1010: ErrorKind.UNKNOWN,
    -1013: ErrorKind.REFUSED,  # a filter
    -1015: ErrorKind.ORDERS_FULL,
    -1016: ErrorKind.UNKNOWN,  # the service is shutting down
    -1020: ErrorKind.MALFORMED,
    -1021: ErrorKind.CLOCK,
    -1022: ErrorKind.UNAUTHORIZED,  # the signature
    -1034: ErrorKind.WAIT,  # too many connections
    -2010: ErrorKind.REFUSED,
    -2011: ErrorKind.NOT_OPEN,
    -2013: ErrorKind.NO_SUCH_ORDER,
    -2014: ErrorKind.UNAUTHORIZED,
    -2015: ErrorKind.UNAUTHORIZED,
    -2026: ErrorKind.UNKNOWN,  # archived: it existed, and its outcome is no longer reported
    -4056: ErrorKind.UNAUTHORIZED,  # a key of this type may not log on
}

DUPLICATE = "duplicate order sent"
"""In the text of a -2010: an order with our id is open, so the one we asked for is there."""

_CLOSED = "market is closed"

_BAD_PARAMETERS = range(-1199, -1099)


def meaning(status: int, code: int, text: str) -> ErrorKind:
    """What an error means; `status` is that of HTTP, as the WS API uses it too.

    An unknown code is certain only where the status says that the request was at fault.
    """
    if status in (429, 418) and code not in CODES:
        return ErrorKind.WAIT
    if status >= 500 or status in (403, 409):  # 409: it was carried out in part
        return ErrorKind.UNKNOWN
    if code == -2010 and DUPLICATE in text.lower():
        return ErrorKind.UNKNOWN
    known = CODES.get(code)
    if known is not None:
        return known
    if code in _BAD_PARAMETERS:
        return ErrorKind.MALFORMED
    return ErrorKind.REFUSED if 400 <= status < 500 else ErrorKind.UNKNOWN


def contradicts_exchange_info(code: int, text: str) -> bool:
    """Whether the refusal of an order says that filters or status are others than we know."""
    return code == -1013 or (code == -2010 and _CLOSED in text.lower())


class RefusedByVenue(VenueError):
    """The venue refused something without which a session cannot go on."""

    def __init__(self, what: str, status: int, code: int, text: str) -> None:
        super().__init__(f"{what}: {code} {text[:200]!r}")
        self.meaning = meaning(status, code, text)
