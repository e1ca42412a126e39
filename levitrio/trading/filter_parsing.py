"""Parses the `filters` array of exchangeInfo into `SymbolFilters`. Pure."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from levitrio.trading.filters import NotionalBounds, PriceBand, Range, SymbolFilters, TrailingBounds


def parse_filters(filters: Sequence[Mapping[str, Any]]) -> SymbolFilters:
    """Parse the filters of one symbol; unknown kinds are skipped.

    Raises:
        KeyError: A known filter lacks a field.
        ValueError: A field is negative or not finite.
        decimal.InvalidOperation: A field is no number.
    """
    found: dict[str, Any] = {}
    counts: dict[str, int] = {}
    for item in filters:
        kind = item["filterType"]
        if kind in _COUNTED:
            counts[kind] = int(item[_COUNTED[kind]])
        elif kind in _PARSERS:
            name, parse = _PARSERS[kind]
            found[name] = parse(item)
    return SymbolFilters(counts=counts, **found)


_COUNTED = {
    "ICEBERG_PARTS": "limit",
    "MAX_NUM_ORDERS": "maxNumOrders",
    "MAX_NUM_ALGO_ORDERS": "maxNumAlgoOrders",
    "MAX_NUM_ICEBERG_ORDERS": "maxNumIcebergOrders",
    "MAX_NUM_ORDER_LISTS": "maxNumOrderLists",
    "MAX_NUM_ORDER_AMENDS": "maxNumOrderAmends",
}
"""Filter type -> the field with its limit."""


def _number(text: str) -> Decimal:
    """Parse a finite number of at least 0."""
    number = Decimal(text)
    if not number.is_finite() or number < 0:
        raise ValueError(f"expected a number of at least 0, got {text!r}"[:100])
    return number


def _range(least: str, most: str, step: str) -> Callable[[Mapping[str, Any]], Range]:
    def parse(item: Mapping[str, Any]) -> Range:
        return Range(
            least=_number(item[least]), most=_number(item[most]), step=_number(item.get(step, 0))
        )

    return parse


def _min_notional(item: Mapping[str, Any]) -> NotionalBounds:
    return NotionalBounds(
        least=_number(item["minNotional"]),
        least_applies_to_market=item["applyToMarket"],
        average_minutes=item["avgPriceMins"],
    )


def _notional_range(item: Mapping[str, Any]) -> NotionalBounds:
    return NotionalBounds(
        least=_number(item["minNotional"]),
        most=_number(item["maxNotional"]),
        least_applies_to_market=item["applyMinToMarket"],
        most_applies_to_market=item["applyMaxToMarket"],
        average_minutes=item["avgPriceMins"],
    )


def _band(buy: str, sell: str) -> Callable[[Mapping[str, Any]], PriceBand]:
    def parse(item: Mapping[str, Any]) -> PriceBand:
        return PriceBand(
            buy_up=_number(item[buy + "Up"]),
            buy_down=_number(item[buy + "Down"]),
            sell_up=_number(item[sell + "Up"]),
            sell_down=_number(item[sell + "Down"]),
            average_minutes=item["avgPriceMins"],
        )

    return parse


def _trailing(item: Mapping[str, Any]) -> TrailingBounds:
    above = _range("minTrailingAboveDelta", "maxTrailingAboveDelta", "")
    below = _range("minTrailingBelowDelta", "maxTrailingBelowDelta", "")
    return TrailingBounds(above=above(item), below=below(item))


_PARSERS: dict[str, tuple[str, Callable[[Mapping[str, Any]], object]]] = {
    "PRICE_FILTER": ("price", _range("minPrice", "maxPrice", "tickSize")),
    "LOT_SIZE": ("lot", _range("minQty", "maxQty", "stepSize")),
    "MARKET_LOT_SIZE": ("market_lot", _range("minQty", "maxQty", "stepSize")),
    "MIN_NOTIONAL": ("min_notional", _min_notional),
    "NOTIONAL": ("notional", _notional_range),
    "PERCENT_PRICE": ("percent_price", _band("multiplier", "multiplier")),
    "PERCENT_PRICE_BY_SIDE": ("percent_price_by_side", _band("bidMultiplier", "askMultiplier")),
    "TRAILING_DELTA": ("trailing", _trailing),
    "MAX_POSITION": ("max_position", lambda item: _number(item["maxPosition"])),
}
"""Filter type -> field of `SymbolFilters`, and its parser."""
