"""Durations as text."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levitrio.config.durations import PATTERN, UNITS, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("1.5s", 1.5),
        ("10m", 600.0),
        ("10 m", 600.0),
        ("2h", 7200.0),
        ("1d", 86_400.0),
        ("0s", 0.0),
    ],
)
def test_parses(text: str, seconds: float) -> None:
    """Each unit counts in seconds."""
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "10", "-1s", "1e3s", "nans", "infs", "1 0s", "1w", "s", "1.s", ".5s", "٣s", "1s\n"]
)
def test_refuses(text: str) -> None:
    """What is no number with a unit is refused, and quoted back."""
    with pytest.raises(ValueError, match="expected a duration"):
        parse_duration(text)
    assert re.match(PATTERN, text) is None or text.endswith("\n")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0s"), (0.25, "250ms"), (1.0, "1s"), (90.0, "90s"), (600.0, "10m"), (172_800.0, "2d")],
)
def test_formats(seconds: float, text: str) -> None:
    """The largest unit that leaves no fraction is taken."""
    assert format_duration(seconds) == text


@given(st.integers(0, 10**6), st.sampled_from(sorted(UNITS)))
def test_round_trip(count: int, unit: str) -> None:
    """A formatted duration parses to the same one, within what twelve digits hold."""
    seconds = parse_duration(f"{count}{unit}")
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds, rel=1e-9)
