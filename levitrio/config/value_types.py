"""Value types of fleet.toml's keys: each checks a value and describes itself as JSON Schema.

A field names its value type with `Annotated[type, value_type]`. `parse` takes a value as tomllib
gives it (floats as Decimal, so that money stays exact) and returns the field's value. Nothing is
coerced: text is no number, true is not 1, nan is no number.
"""

import ipaddress
import re
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import SplitResult, urlsplit

import attrs

from levitrio.config.diagnostics import InvalidValue, came
from levitrio.config.durations import PATTERN, format_duration, parse_duration
from levitrio.trading.market import normalize_symbol

Schema = dict[str, Any]


class ValueType(Protocol):
    """Checks values of one kind; structuring calls `parse`, the schema generator `schema`."""

    def parse(self, value: object) -> Any:
        """Return the field's value.

        Raises:
            InvalidValue: The value is not of this type or outside its bounds.
        """

    def schema(self) -> Schema:
        """Describe the same rule as JSON Schema."""


def _exact(value: object) -> Decimal | None:
    """Return a finite number as Decimal, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    number = Decimal(value)
    return number if number.is_finite() else None


@attrs.frozen
class Number:
    """A number within bounds, as Decimal: for factors and amounts of money."""

    low: float
    high: float
    above: bool = False
    """Whether `low` itself is excluded."""

    def parse(self, value: object) -> Any:
        """Return the number as Decimal."""
        number = _exact(value)
        if number is None or not self._holds(number):
            raise InvalidValue(self._expected("a number"), came(value))
        return abs(number) if number == 0 else number  # -0.0 becomes 0.0

    def schema(self) -> Schema:
        """Describe the same rule as JSON Schema."""
        return {
            "type": "number",
            "exclusiveMinimum" if self.above else "minimum": self.low,
            "maximum": self.high,
        }

    def _holds(self, number: Decimal) -> bool:
        return (number > self.low if self.above else number >= self.low) and number <= self.high

    def _expected(self, noun: str) -> str:
        start = f"above {self.low:.15g}, at most" if self.above else f"from {self.low:.15g} to"
        return f"{noun} {start} {self.high:.15g}"


@attrs.frozen
class Float(Number):
    """A number within bounds, as float: for values that are no money."""

    def parse(self, value: object) -> Any:
        """Return the number as float."""
        return float(super().parse(value))


@attrs.frozen
class Integer:
    """An integer within bounds; `12.0` is none."""

    low: int
    high: int

    def parse(self, value: object) -> Any:
        """Return the integer."""
        if isinstance(value, bool) or not isinstance(value, int):
            raise InvalidValue(self._expected(), came(value))
        if not self.low <= value <= self.high:
            raise InvalidValue(self._expected(), came(value))
        return value

    def schema(self) -> Schema:
        """Describe the same rule as JSON Schema."""
        return {"type": "integer", "minimum": self.low, "maximum": self.high}

    def _expected(self) -> str:
        return f"a whole number from {self.low} to {self.high}"


@attrs.frozen
class Seconds:
    """A duration within bounds, as float seconds; written as a number or as text with a unit."""

    low: float
    high: float
    or_zero: bool = False
    """Whether 0 is allowed beside the range, to turn something off."""

    def parse(self, value: object) -> Any:
        """Return the duration in seconds."""
        seconds = self._seconds(value)
        if seconds is None or not (
            self.low <= seconds <= self.high or (self.or_zero and seconds == 0)
        ):
            raise InvalidValue(self._expected(), came(value))
        return abs(seconds)

    def schema(self) -> Schema:
        """Describe the same rule as JSON Schema."""
        number: Schema = {"type": "number", "minimum": self.low, "maximum": self.high}
        if self.or_zero:
            number["minimum"] = 0
        return {"anyOf": [number, {"type": "string", "pattern": PATTERN}]}

    def _seconds(self, value: object) -> float | None:
        if isinstance(value, str):
            try:
                return parse_duration(value)
            except ValueError:
                return None
        number = _exact(value)
        return None if number is None else float(number)

    def _expected(self) -> str:
        low, high = format_duration(self.low), format_duration(self.high)
        zero = "0 or " if self.or_zero else ""
        return f'{zero}a duration from {low} to {high} (seconds, or text such as "250ms")'


@attrs.frozen
class Text:
    """Text that matches a pattern."""

    pattern: str
    """Regular expression that must match the whole text."""
    expected: str
    """The pattern in words, as in `expected ..., came ...`."""
    is_secret: bool = False
    """Whether error texts must not show the value."""

    def parse(self, value: object) -> Any:
        """Return the text."""
        if isinstance(value, str) and re.fullmatch(self.pattern, value, re.ASCII):
            return value
        hidden = self.is_secret and isinstance(value, str)
        raise InvalidValue(self.expected, "text that is not shown" if hidden else came(value))

    def schema(self) -> Schema:
        """Describe the same rule as JSON Schema."""
        return {"type": "string", "pattern": f"^({self.pattern})$"}


@attrs.frozen
class SymbolName:
    """A symbol in any spelling, normalised to `BTCUSDT`."""

    def parse(self, value: object) -> Any:
        """Return the normalised symbol."""
        try:
            return normalize_symbol(value if isinstance(value, str) else "")
        except ValueError:
            raise InvalidValue("a symbol such as BTCUSDT or BTC/USDT", came(value)) from None

    def schema(self) -> Schema:
        """Describe the same rule as JSON Schema."""
        return {"type": "string", "minLength": 1}


@attrs.frozen
class StreamUrl:
    """A WebSocket address. TLS is required, except on this machine."""

    _expected = "an address such as wss://stream.binance.com:9443"

    def parse(self, value: object) -> Any:
        """Return the address without a trailing slash."""
        if not isinstance(value, str) or not re.fullmatch(r"[!-~]{1,512}", value):
            raise InvalidValue(self._expected, came(value))
        try:
            url = urlsplit(value)
            _ = url.port  # raises ValueError when it is no port
        except ValueError:
            raise InvalidValue(self._expected, came(value)) from None
        if url.username is not None or url.password is not None:
            raise InvalidValue(
                f"{self._expected}, without a user", "one with a user or password in it"
            )
        if url.scheme not in ("ws", "wss") or not url.hostname or url.query or url.fragment:
            raise InvalidValue(self._expected, came(value))
        if url.scheme == "ws" and not is_local(url):
            raise InvalidValue("wss:// for any host but this machine", came(value))
        return value.rstrip("/")

    def schema(self) -> Schema:
        """Describe the same rule as JSON Schema."""
        return {"type": "string", "pattern": "^wss?://"}


def is_local(url: SplitResult) -> bool:
    """Whether the address is one of this machine."""
    host = url.hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@attrs.frozen
class Loopback:
    """`host:port` on this machine.

    A reader of the page sees every position, so it never listens on other addresses; for those,
    put a proxy with TLS and a password in front.
    """

    _expected = "an address of this machine such as 127.0.0.1:8787, port 1024 to 65535"

    def parse(self, value: object) -> Any:
        """Return the address."""
        match = re.fullmatch(r"(\[[0-9a-f:]+\]|[0-9.]+|localhost):([0-9]{4,5})", str(value))
        if not isinstance(value, str) or match is None or not is_local(urlsplit(f"//{value}")):
            raise InvalidValue(self._expected, came(value))
        if not 1024 <= int(match.group(2)) <= 65_535:
            raise InvalidValue(self._expected, came(value))
        return value

    def schema(self) -> Schema:
        """Describe the same rule as JSON Schema."""
        return {"type": "string", "pattern": ":[0-9]{4,5}$"}


@attrs.frozen
class Location:
    """A path; `~/` is the home directory, a relative path starts at the file's folder."""

    _expected = "a path (relative to this file, or starting with / or ~/)"

    def parse(self, value: object) -> Any:
        """Return the path; a relative one is not resolved yet."""
        if not isinstance(value, str) or not 0 < len(value) <= 4096 or not value.isprintable():
            raise InvalidValue(self._expected, came(value))
        if "$" in value:
            raise InvalidValue("a path without $ (variables are not expanded)", came(value))
        if not value.startswith("~"):
            return Path(value)
        if not value.startswith("~/"):
            raise InvalidValue(self._expected, came(value))
        try:
            return Path(value).expanduser()
        except RuntimeError:
            raise InvalidValue("a home directory for ~", "a user without one") from None

    def schema(self) -> Schema:
        """Describe the same rule as JSON Schema."""
        return {"type": "string", "minLength": 1}


@attrs.frozen
class PlainTable:
    """A table of plain values: text, numbers, true, false, arrays, tables."""

    _expected = "text, a finite number, true, false, an array or a table"
    _deepest = 8  # params are a handful of numbers; deeper nesting is a mistake

    def parse(self, value: object) -> Any:
        """Return a copy with floats for decimals."""
        if not isinstance(value, dict):
            raise InvalidValue("a table", came(value))
        return self._plain(value, ())

    def schema(self) -> Schema:
        """Describe the same rule as JSON Schema."""
        return {"type": "object"}

    def _plain(self, value: object, inside: tuple[str | int, ...]) -> Any:
        if len(inside) > self._deepest:
            raise InvalidValue(f"at most {self._deepest} levels of values", "more", inside)
        match value:
            case dict():
                return {k: self._plain(v, (*inside, k)) for k, v in value.items()}
            case list():
                return [self._plain(v, (*inside, i)) for i, v in enumerate(value)]
            case str() | bool():
                return value
        number = _exact(value)
        if number is None:
            raise InvalidValue(self._expected, came(value), inside)
        if isinstance(value, int):
            if abs(value) >= 2**63:
                raise InvalidValue("a whole number of 64 bits", came(value), inside)
            return value
        plain = float(number)
        if plain in (float("inf"), float("-inf")):
            raise InvalidValue("a number that a float can hold", came(value), inside)
        return plain
