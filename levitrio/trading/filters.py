"""The venue's rules on numbers: steps and smallest sizes, in Decimal on the venue's strings."""

from decimal import ROUND_DOWN, Decimal

import attrs


@attrs.frozen(kw_only=True)
class SymbolRules:
    """What a venue accepts for one symbol. 0 disables a rule."""

    tick: Decimal = Decimal("0.00000001")
    """Smallest price step, in the quote asset."""
    step: Decimal = Decimal("0.00001")
    """Smallest quantity step, in the base asset."""
    min_notional: Decimal = Decimal(5)
    """Smallest price x quantity, in the quote asset."""


def round_down(value: Decimal, step: Decimal) -> Decimal:
    """The largest multiple of `step` that is not above `value` (for value >= 0)."""
    if not step:
        return value
    return (value / step).to_integral_value(rounding=ROUND_DOWN) * step
