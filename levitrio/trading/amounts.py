"""Formats amounts of money for people and scripts."""

from decimal import Decimal


def format_amount(amount: Decimal) -> str:
    """Format a decimal with at most eight places, no exponent, no trailing zeros."""
    text = format(round(amount, 8), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
