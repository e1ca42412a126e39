"""Which engines a request means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levitrio.control import error_codes
from levitrio.control.selection import UnknownSymbol, select
from levitrio.errors import ControlError

KNOWN = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "SOLBTC"]


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["btc/usdt"], ["BTCUSDT"]),
        (["Sol-Usdt", "BTCUSDT", "SOLUSDT"], ["SOLUSDT", "BTCUSDT"]),
        (["sol*"], ["SOLUSDT", "SOLBTC"]),
        (["SOL/*"], ["SOLUSDT", "SOLBTC"]),
        (["SOL-*"], ["SOLUSDT", "SOLBTC"]),
        (["[A-E]*USDT"], ["BTCUSDT", "ETHUSDT"]),
        (["???USDT", "*"], KNOWN[:3] + KNOWN[3:]),
    ],
)
def test_symbols_as_people_write_them(patterns: list[str], expected: list[str]) -> None:
    """Any case, with a slash or a dash, as a glob; each once, in the order of naming."""
    assert select(patterns, KNOWN, all_of_them=False) == expected


def test_all_means_every_engine() -> None:
    """And excludes naming some."""
    assert select([], KNOWN, all_of_them=True) == KNOWN
    with pytest.raises(ControlError, match="beside all"):
        select(["BTCUSDT"], KNOWN, all_of_them=True)


def test_naming_nothing_is_refused() -> None:
    """`stop` without a symbol must not mean every engine."""
    with pytest.raises(ControlError) as caught:
        select([], KNOWN, all_of_them=False)
    assert caught.value.code == error_codes.INVALID_PARAMS


def test_a_typo_gets_a_suggestion() -> None:
    """The nearest symbols are named, and nothing else is guessed."""
    with pytest.raises(UnknownSymbol) as caught:
        select(["SOLUSTD"], KNOWN, all_of_them=False)
    assert caught.value.suggestions[0] == "SOLUSDT"
    assert caught.value.hint.startswith("did you mean SOLUSDT")
    with pytest.raises(UnknownSymbol) as caught:
        select(["XRP*"], KNOWN, all_of_them=False)
    assert caught.value.hint == ""


@pytest.mark.parametrize(
    "symbol",
    [
        "../../etc/passwd",
        ".",
        "..",
        "A\x00B",
        "a" * 300,
        "\U0001f680",
        "\u202eBTC",
        "\x1b[2J*",
        "",
        "BTC,ETH",
        "BTC\nETH",
        "B\u0422CUSDT",
        "*\u00e9",
    ],
)
def test_what_can_be_no_symbol_is_refused_and_echoed_harmlessly(symbol: str) -> None:
    """Paths, control characters, other alphabets: wrong params, and printable."""
    with pytest.raises(ControlError) as caught:
        select([symbol], KNOWN, all_of_them=False)
    assert caught.value.code == error_codes.INVALID_PARAMS
    assert caught.value.message.isprintable()


@given(st.lists(st.text(max_size=70), max_size=3), st.booleans())
def test_a_selection_is_known_symbols_or_a_refusal(patterns: list[str], everything: bool) -> None:
    """No text brings out anything that the fleet does not have."""
    chosen: list[str] = []
    refusal = ""
    try:
        chosen = select(patterns, KNOWN, all_of_them=everything)
    except ControlError as error:
        refusal = error.message
    assert bool(chosen) is not bool(refusal)
    assert refusal.isprintable()
    assert set(chosen) <= set(KNOWN)
    assert len(set(chosen)) == len(chosen)
