"""Start order."""

from levitrio.supervision.start_order import find_cycle


def test_no_cycle() -> None:
    """A diamond and unknown names are no cycle."""
    assert find_cycle({"A": ["B", "C"], "B": ["D"], "C": ["D"], "D": ["X"]}) is None


def test_the_cycle_is_named() -> None:
    """From a member back to itself, without those that merely lead there."""
    assert find_cycle({"Z": ["A"], "A": ["B"], "B": ["C"], "C": ["A"]}) == ("A", "B", "C", "A")


def test_oneself() -> None:
    """After oneself is the shortest cycle."""
    assert find_cycle({"A": ["A"]}) == ("A", "A")


def test_a_chain_as_long_as_a_fleet() -> None:
    """No recursion: ten thousand in a row."""
    chain: dict[str, list[str]] = {str(n): [str(n + 1)] for n in range(10_000)}
    assert find_cycle(chain) is None
    chain["10000"] = ["0"]
    assert len(find_cycle(chain) or ()) == 10_002
