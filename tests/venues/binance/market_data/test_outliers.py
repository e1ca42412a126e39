"""When a price, and when a whole symbol, is not believed."""

from hypothesis import given
from hypothesis import strategies as st

from levitrio.venues.binance.market_data.outliers import (
    AGAIN,
    CALM,
    REFUSALS,
    WINDOW,
    OutlierFilter,
    Suspension,
)


def judged(*prices: str) -> list[bool]:
    band = OutlierFilter()
    return [band.accepts(price, number) for number, price in enumerate(prices)]


def test_the_first_price_is_believed() -> None:
    """There is nothing to judge it by, and a symbol must begin somewhere."""
    band = OutlierFilter()
    assert band.contains("5")
    assert judged("0.00000001") == [True]


def test_one_absurd_price() -> None:
    """It is refused, whatever the direction, and does not move the band."""
    assert judged("100", "150", "100.5", "1", "101") == [True, False, True, False, True]


def test_three_that_agree_are_the_market() -> None:
    """The third in a row is believed, and the old level is absurd from then on."""
    assert judged("100", "150", "151", "152", "100") == [True, False, False, True, False]


def test_three_that_do_not_agree() -> None:
    """Noise confirms nothing."""
    assert judged("100", "150", "1500", "150", "1500", "150") == [True] + [False] * 5


def test_repetition_of_one_message_confirms_nothing() -> None:
    """The same number again is the same message."""
    band = OutlierFilter()
    assert band.accepts("100", 1)
    assert not any(band.accepts("200", 2) for _ in range(10))
    assert not band.contains("200")
    assert band.contains("99")


@given(st.lists(st.floats(0.81, 1.24), max_size=200))
def test_no_step_inside_the_band_is_refused(steps: list[float]) -> None:
    """However far a market moves, step by step it is believed."""
    band = OutlierFilter()
    price = 1.0
    for number, step in enumerate(steps):
        price = min(max(price * step, 1e-6), 1e12)
        previous = band.contains(f"{price:.12f}")
        assert previous
        assert band.accepts(f"{price:.12f}", number)


def test_suspended_once_and_for_a_while() -> None:
    """The tenth in a window suspends; calm after the new subscription ends it."""
    suspension = Suspension()
    verdicts = [suspension.refuse(float(n)) for n in range(REFUSALS + 5)]
    assert verdicts == [False] * (REFUSALS - 1) + [True] + [False] * 5
    last = float(REFUSALS + 4)
    assert not suspension.resume(last + CALM - 0.1)
    assert suspension.resume(last + CALM)
    assert not suspension.resume(last + CALM)
    assert not suspension.is_suspended
    assert not suspension.refuse(last + CALM + 1), "it starts from nothing again"


def test_few_refusals_over_a_long_time() -> None:
    """What is older than the window does not count."""
    suspension = Suspension()
    every = WINDOW / (REFUSALS - 1) + 0.01
    assert not any(suspension.refuse(n * every) for n in range(100))


def test_asked_again_now_and_then() -> None:
    """While it is suspended, and not oftener."""
    suspension = Suspension()
    assert not suspension.ask_again(100.0)
    for _ in range(REFUSALS):
        suspension.refuse(100.0)
    assert not suspension.ask_again(100.0 + AGAIN - 0.1)
    assert suspension.ask_again(100.0 + AGAIN)
    assert not suspension.ask_again(100.0 + AGAIN + 1)
