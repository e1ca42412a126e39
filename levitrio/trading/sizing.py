"""Sizes an entry from a signal's probability and confidence, and the symbol's volatility.

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
    """Limits and targets of an entry's size."""

    max_symbol_exposure: Decimal = Decimal("0.20")
    """Largest entry, as a fraction of equity."""
    kelly_fraction: Decimal = Decimal("0.25")
    """Fraction of the Kelly bet to take."""
    volatility_target: float = 0.15
    """Annualised volatility above which entries shrink."""


def entry_notional(
    rules: SizingRules,
    *,
    equity: Decimal,
    is_long: bool,
    prob_up: float | None,
    confidence: float,
    sigma: float | None,
) -> Decimal:
    """Worth of an entry in the quote asset; 0 when the odds are against it.

    Args:
        rules: Limits and targets.
        equity: In the quote asset.
        is_long: Direction of the entry.
        prob_up: Probability that the price rises, 0 to 1; None when the strategy gives none.
        confidence: Scale from the signal, 0 to 1.
        sigma: Annualised volatility; None (unknown) and 0 scale by 1.
    """
    kelly = rules.kelly_fraction
    if prob_up is not None:
        probability = prob_up if is_long else 1.0 - prob_up
        kelly *= Decimal(repr(max(0.0, 2.0 * probability - 1.0)))
    scale = min(1.0, rules.volatility_target / sigma) if sigma else 1.0
    share = kelly * Decimal(repr(scale)) * Decimal(repr(confidence))
    return max(Decimal(0), equity) * min(rules.max_symbol_exposure, share)
