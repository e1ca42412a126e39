"""The price source of a built-in strategy: every trade, or the close of every bar."""

from typing import Literal

from levitrio.trading.market import Bar, Trade

Source = Literal["trade", "bar"]


def check_source(source: str) -> None:
    """Check a price source.

    Raises:
        ValueError: `source` is neither `trade` nor `bar`.
    """
    if source not in ("trade", "bar"):
        raise ValueError(f"source: expected 'trade' or 'bar', got {source!r}")


def price_of(event: Trade | Bar) -> float:
    """The event's price as a float: strategies and models compute in floats, money never does."""
    return float(event.raw_price if type(event) is Trade else event.raw_close)  # type: ignore[union-attr]


def check_count(name: str, value: int, *, at_least: int) -> None:
    """Check a parameter that counts something.

    Raises:
        ValueError: `value` is no whole number, or less than `at_least`.
    """
    if type(value) is not int or value < at_least:
        raise ValueError(f"{name}: expected a whole number of at least {at_least}, got {value!r}")
