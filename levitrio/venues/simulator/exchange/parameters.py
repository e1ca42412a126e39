"""Reads a request's parameters as the venue does, with the venue's errors. Pure.

Every value is text, whether it came by query, body or JSON.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

import attrs

from levitrio.venues.simulator.exchange import errors
from levitrio.venues.simulator.exchange.errors import ApiError

_DECIMAL = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
_INTEGER = r"^[0-9]{1,20}$"
_CLIENT_ID = r"^[\.A-Z\:/a-z0-9_-]{1,36}$"
_SYMBOL = r"^[A-Z0-9-_.]{1,20}$"
"""The venue puts the pattern into its error text; clients show it to people."""

_DECIMALS = 8
"""Decimals of every asset."""

_MICROSECONDS = 10**15
"""A timestamp above it is in microseconds: in milliseconds that would be the year 33658."""

Choice = TypeVar("Choice", bound=StrEnum)


@attrs.frozen
class Parameters:
    """The parameters of one request, without `apiKey` and `signature`.

    Every method raises ApiError, with the venue's code, for a value that it does not take.
    """

    values: Mapping[str, str]

    def check_known(self, known: frozenset[str]) -> None:
        """Refuse a request with a parameter that its method does not read."""
        read = sum(1 for name in self.values if name in known)
        if read < len(self.values):
            raise errors.unread(read, len(self.values))

    def text(self, name: str) -> str | None:
        """A text; None when it was not sent, refused when it is empty."""
        value = self.values.get(name)
        if value == "":
            raise errors.empty(name)
        return value

    def required(self, name: str) -> str:
        """A text; refused when it was not sent or is empty."""
        value = self.values.get(name)
        if not value:
            raise errors.missing(name)
        return value

    def decimal(self, name: str) -> Decimal | None:
        """A number without sign or exponent, of at most eight decimals."""
        value = self.text(name)
        if value is None:
            return None
        if not re.fullmatch(_DECIMAL, value, re.ASCII):
            raise errors.illegal(name, _DECIMAL)
        if len(value.partition(".")[2].rstrip("0")) > _DECIMALS:
            raise errors.too_precise(name)
        return Decimal(value)

    def positive(self, name: str) -> Decimal:
        """A decimal above 0; refused when it was not sent."""
        self.required(name)
        value = self.decimal(name)
        if not value:
            raise ApiError(-1013, f"Invalid {name}.")
        return value

    def integer(self, name: str) -> int | None:
        """A whole number that is not negative."""
        value = self.text(name)
        if value is None:
            return None
        if not re.fullmatch(_INTEGER, value, re.ASCII):
            raise errors.illegal(name, _INTEGER)
        return int(value)

    def time_ms(self, name: str) -> int | None:
        """A time in ms or us since 1970, as ms."""
        value = self.integer(name)
        return value // 1000 if value is not None and value > _MICROSECONDS else value

    def limit(self, default: int, most: int) -> int:
        """`limit`, at least 1 and cut at the most the venue gives."""
        value = self.integer("limit")
        if value is None:
            return default
        if value < 1:
            raise errors.invalid_data("limit")
        return min(value, most)

    def choice(self, name: str, kind: type[Choice], refusal: ApiError) -> Choice | None:
        """One of an enumeration's values."""
        value = self.text(name)
        if value is None:
            return None
        try:
            return kind(value)
        except ValueError:
            raise refusal from None

    def flag(self, name: str, default: bool) -> bool:
        """`true` or `false`."""
        value = self.text(name)
        if value is None:
            return default
        if value not in {"true", "false"}:
            raise errors.invalid_data(name)
        return value == "true"

    def symbol_text(self, name: str = "symbol") -> str:
        """A symbol, refused when it was not sent; it need not be listed."""
        value = self.required(name)
        if not re.fullmatch(_SYMBOL, value, re.ASCII):
            raise errors.illegal(name, _SYMBOL)
        return value

    def client_id(self, name: str) -> str | None:
        """A client order id: up to 36 of the venue's characters."""
        value = self.text(name)
        if value is not None and not re.fullmatch(_CLIENT_ID, value, re.ASCII):
            raise errors.illegal(name, _CLIENT_ID)
        return value
