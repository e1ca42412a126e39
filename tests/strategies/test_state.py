"""A strategy's saved state is copied into plain data, or refused."""

from typing import Any

import pytest

from levitrio.strategies.state import STATE_LIMIT, plain_state


def test_state_is_copied() -> None:
    """What the strategy changes afterwards does not change the saved state."""
    state = {"seen": [1, 2]}

    kept = plain_state(state)
    state["seen"].append(3)

    assert kept == {"seen": [1, 2]}


def deep() -> list[Any]:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    return nested


@pytest.mark.parametrize("value", [object(), {"a": object()}, "x" * STATE_LIMIT, deep()])
def test_state_that_cannot_be_kept_is_refused(value: object) -> None:
    """The error is raised for that engine alone, before it could spoil the fleet's snapshot."""
    with pytest.raises(ValueError, match=r"state\(\)"):
        plain_state(value)
