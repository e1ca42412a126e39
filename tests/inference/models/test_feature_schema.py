"""The schema and its hash."""

import attrs

from levitrio.inference.models.feature_schema import BY_HASH, CANDLES, MARKET, SCHEMAS


def test_the_hashes_of_released_schemas_do_not_change() -> None:
    """Trained models carry these hashes: changing a feature makes them unusable."""
    assert CANDLES.hash.startswith("a0399035b404fb3f")
    assert MARKET.hash.startswith("3c4c2b1a0d6b1820")


def test_a_change_of_order_name_or_unit_changes_the_hash() -> None:
    """What the hash covers is all that a model cannot see."""
    turned = attrs.evolve(CANDLES, features=CANDLES.features[::-1])
    renamed = attrs.evolve(CANDLES.features[0], unit="percent")
    other = attrs.evolve(CANDLES, features=(renamed, *CANDLES.features[1:]))
    assert len({CANDLES.hash, turned.hash, other.hash, MARKET.hash}) == 4


def test_schemas_are_found_by_name_and_by_hash() -> None:
    """Two ways to the same schema."""
    for schema in SCHEMAS.values():
        assert BY_HASH[schema.hash] is schema
