"""What is written and shown has no secret in it, and everything else unchanged."""

import pytest

from levitrio.records.logs.log_format import LogRecord
from levitrio.records.logs.redaction import Redactor

CANARY = "Cn7kQ2mZp9XcV4bNw8RtY1uJs6LfD3gAe"


def test_known_values_are_blotted_out_wherever_they_are() -> None:
    """In the middle of a word, in any case, and twice."""
    redactor = Redactor()
    redactor.add(CANARY)
    said = redactor.text(f"no{CANARY}body {CANARY.lower()}")
    assert said == "no***body ***"


def test_what_was_cut_in_the_middle_goes_too() -> None:
    """Texts are bounded where they arise, which may be in the middle of a secret."""
    redactor = Redactor()
    key = "K7hQ2mZp9XcV4bNw8RtY1uJs6LfD3gAe" * 4
    redactor.add(key, "K7hQ2mZp9XcV-another")
    for length in range(8, len(key)):
        assert redactor.text(f"key {key[:length]}") == "key ***"
        assert redactor.text(f"{key[:length].lower()}... (restarting)") == "***... (restarting)"
    assert redactor.text("K7hQ2mZp9XcV-another") == "***"
    assert redactor.text("K7hQ2mZ") == "K7hQ2mZ"


def test_of_two_secrets_the_longer_goes_whole() -> None:
    """One that begins like the other leaves no rest of it behind."""
    redactor = Redactor()
    redactor.add(CANARY[:12], CANARY)
    assert redactor.text(f"x {CANARY} y") == "x *** y"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("GET /api/v3/order?symbol=BTCUSDT&signature=0123456789abcdef&x=1", "signature=***&x=1"),
        ('{"apiKey":"abcdefghijkl","id":1}', '"apiKey":"***"'),
        ("X-MBX-APIKEY: abcdefghijkl", "X-MBX-APIKEY: ***"),
        ("api_secret = abcdefghijkl", "api_secret = ***"),
        ("password='hunter2hunter2'", "password='***'"),
        ("tgram: token=123456789:AAE", "token=***"),
    ],
)
def test_what_looks_like_a_secret(text: str, expected: str) -> None:
    """Query strings, JSON and headers that carry one, whether its value is known or not."""
    assert expected in Redactor().text(text)


@pytest.mark.parametrize(
    "text",
    ["KeyError: 'close'", "the key was refused", "-1022 Signature is not valid.", "keys = 3", ""],
)
def test_other_words_stay(text: str) -> None:
    """A text that only speaks of keys is not touched."""
    redactor = Redactor()
    redactor.add("short", CANARY)
    assert redactor.text(text) == text


def test_a_record_is_redacted_whole() -> None:
    """Event, keys and nested values; what is no text stays what it is."""
    redactor = Redactor()
    redactor.add(CANARY)
    record = LogRecord(
        1, "info", None, f"event {CANARY}", {CANARY: 1, "a": [{"b": f"{CANARY}!"}, 2.5, None, True]}
    )
    found = redactor.record(record)
    assert found.event == "event ***"
    assert found.fields == {"***": 1, "a": [{"b": "***!"}, 2.5, None, True]}


def test_the_redactor_shows_nothing() -> None:
    """Who prints it sees no secret."""
    redactor = Redactor()
    redactor.add(CANARY)
    assert CANARY not in repr(redactor)
