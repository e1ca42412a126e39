"""How much of a signal's target to hold (contracts.md, "Numbers").

notional = equity x min(max_symbol_exposure, kelly x min(1, volatility_target / sigma) x confidence)
kelly    = kelly_fraction x max(0, 2p - 1), p the probability of the wanted direction;
           kelly_fraction alone when the strategy gives no probability.

The Kelly bet on an even-money outcome of probability p is 2p - 1 (J. L. Kelly, "A New
Interpretation of Information Rate", 1956).
"""

from decimal import Decimal

import attrs


@attrs.frozen(kw_only=True)
class SizingRules:
    """Fractions of equity."""

    max_symbol_exposure: Decimal = Decimal("0.20")
    kelly_fraction: Decimal = Decimal("0.25")
    volatility_target: float = 0.15
    """Annualised."""


def entry_notional(
    rules: SizingRules,
    *,
    equity: Decimal,
    is_long: bool,
    prob_up: float | None,
    confidence: float,
    sigma: float | None,
) -> Decimal:
    """What an entry may be worth, in the quote asset; 0 when the odds are against it.

    `sigma` is annualised; None (unknown) and 0 scale by 1.
    """
    kelly = rules.kelly_fraction
    if prob_up is not None:
        probability = prob_up if is_long else 1.0 - prob_up
        kelly *= Decimal(repr(max(0.0, 2.0 * probability - 1.0)))
    calm = min(1.0, rules.volatility_target / sigma) if sigma else 1.0
    share = kelly * Decimal(repr(calm)) * Decimal(repr(confidence))
    return max(Decimal(0), equity) * min(rules.max_symbol_exposure, share)
