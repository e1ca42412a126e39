"""The words by which events, denials and incidents are told apart are those of 8b022be.

`kinds.json` was made from the source of 8b022be (first arguments of everything that writes an
event, reasons of denials, causes of crashes) together with every kind that its tests wrote.
A kind that is new is no failure here unless a fleet of `test_fleet` writes it.
"""

from tests.compatibility.surface import ROOT, literals, load


def test_every_kind_is_still_written() -> None:
    """Each one stands as a text of its own somewhere in the package."""
    texts = literals(ROOT / "levitrio")
    for what, kinds in load("kinds.json").items():
        assert {kind for kind in kinds if kind not in texts} == set(), what
