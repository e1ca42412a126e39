"""Amounts of money as people and scripts read them."""

from decimal import Decimal


def format_amount(amount: Decimal) -> str:
    """A decimal as text: at most eight places, no exponent, no trailing zeros."""
    text = format(round(amount, 8), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
