"""A record is one line, whatever a strategy or an exchange puts into it."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from levitrio.records.logs.log_format import (
    FIELD_LIMIT,
    FIELDS_LIMIT,
    LogRecord,
    human_line,
    json_line,
    plain,
    plain_fields,
)

AT = 1_795_342_500_123
NASTY = '\x1b[2J\x9b31m\x07\u202egnp\u2028\n{"level"\x85\ud800\x00'

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.decimals() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def record(**fields: Any) -> LogRecord:
    return LogRecord(AT, "warning", "SOLUSDT", "crashed", plain_fields(fields), True)


def test_the_first_keys_are_the_same_everywhere() -> None:
    """Scripts read ts, level, symbol, event; the orchestrator's lines have no symbol."""
    line = json_line(record(error="ValueError: é", delay=Decimal("1.50")))

    assert line.decode() == (
        '{"ts":"2026-11-22T10:15:00.123Z","level":"warning","symbol":"SOLUSDT",'
        '"event":"crashed","error":"ValueError: é","delay":"1.50"}\n'
    )
    assert b"symbol" not in json_line(LogRecord(AT, "info", None, "started"))


@settings(max_examples=50)
@given(event=st.text(), fields=st.dictionaries(st.text(), values, max_size=5))
def test_any_record_is_one_line_that_parses(event: str, fields: dict[str, Any]) -> None:
    """One object a line, also for tools that take U+2028 or U+0085 for a line's end."""
    made = LogRecord(AT, "info", None, plain(event), plain_fields(fields))
    line = json_line(made)

    assert len(line.decode("utf-8").splitlines()) == 1
    found = msgspec.json.decode(line)
    assert list(found)[:3] == ["ts", "level", "event"]
    assert len(human_line(made).decode("utf-8").splitlines()) == 1


def test_nothing_reaches_the_terminal_that_could_drive_it() -> None:
    """Escapes, bells, reversed text and line ends are shown, not obeyed."""
    made = LogRecord(AT, "info", "SOLUSDT", plain(NASTY), plain_fields({NASTY: NASTY.strip()}))
    for line in (json_line(made), human_line(made)):
        text = line.decode("utf-8")
        assert not set(text[:-1]) & set("\x1b\x9b\x07\u202e\u2028\n\x85\x00")
    assert msgspec.json.decode(json_line(made))["event"] == NASTY.replace("\ud800", "\\ud800")


def test_fields_cannot_pretend_to_be_the_first_keys() -> None:
    """A field named `symbol` would make a line lie about whose it is."""
    found = msgspec.json.decode(json_line(record(symbol="BTCUSDT", ts=1, level="x", event="y")))

    assert found["symbol"] == "SOLUSDT"
    assert (found["symbol_"], found["event_"]) == ("BTCUSDT", "y")


def test_everything_is_bounded() -> None:
    """Long texts, many fields, deep or wide values and objects of the user's are cut."""
    deep: list[Any] = []
    for _ in range(1_000):
        deep = [deep]
    found = plain_fields({"text": "x" * 10**6, "deep": deep, "wide": list(range(10**5))})

    assert len(found["text"]) < FIELD_LIMIT + 40
    assert found["text"].endswith(f"({10**6 - FIELD_LIMIT} more)")
    assert len(found["wide"]) == FIELDS_LIMIT
    assert len(plain_fields({str(n): n for n in range(500)})) == FIELDS_LIMIT
    assert len(str(found["deep"])) < FIELD_LIMIT * 2


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (ValueError("no"), "ValueError: no"),
        (float("nan"), "nan"),
        (2**64, str(2**64)),
        ((1, 2), [1, 2]),
        ({1: Decimal(2)}, {"1": "2"}),
        (True, True),
        (b"x", "b'x'"),
    ],
)
def test_values_become_plain_copies(value: object, expected: object) -> None:
    """No exception, frame or object of the user's is kept by the log."""
    assert plain(value) == expected


def test_a_human_line_is_short() -> None:
    """Time, whose, what; tracebacks stay in the file, and all the rest where there is a text."""
    line = human_line(record(error="ValueError: no", delay=1.5, gone=None, traceback="a\nb"))

    assert line.decode() == ('10:15:00 SOLUSDT crashed error="ValueError: no" delay=1.5\n')
    line = human_line(record(error="ValueError: no", text="gave up", seq=3))
    assert line.decode() == "10:15:00 SOLUSDT crashed gave up\n"
    assert human_line(LogRecord(AT, "info", None, "started")) == b"10:15:00 fleet started\n"


def test_colour_marks_the_word_that_matters() -> None:
    """Only the event, only from warning up."""
    assert b"\x1b[33mcrashed\x1b[0m" in human_line(record(), colour=True)
    assert b"\x1b" not in human_line(LogRecord(AT, "info", None, "x"), colour=True)
