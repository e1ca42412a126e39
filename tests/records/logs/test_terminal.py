"""The terminal may be slow, stopped or gone; the fleet does not notice."""

import io
import os
import pty
from collections.abc import Iterator
from contextlib import closing

import pytest

from levitrio.records.logs.log_format import LogRecord
from levitrio.records.logs.terminal import Terminal

RECORD = LogRecord(0, "warning", "SOLUSDT", "crashed", {}, True)


@pytest.fixture
def tty() -> Iterator[tuple[int, io.TextIOWrapper]]:
    reading, writing = pty.openpty()
    with os.fdopen(writing, "w") as stream:
        yield reading, stream
    os.close(reading)


def test_people_get_lines_and_machines_get_json() -> None:
    """The two formats, on a stream without a descriptor."""
    human, machine = io.StringIO(), io.StringIO()
    Terminal(human).show([RECORD])
    Terminal(machine, format="json").show([RECORD])

    assert human.getvalue() == "00:00:00 SOLUSDT crashed\n"
    assert machine.getvalue().startswith('{"ts":"1970')


@pytest.mark.parametrize(
    ("environ", "colour"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colour_only_where_it_is_wanted(
    tty: tuple[int, io.TextIOWrapper], environ: dict[str, str], colour: bool
) -> None:
    """A real terminal, and the environment's word."""
    reading, stream = tty
    terminal = Terminal(stream, environ=environ)

    terminal.show([RECORD])

    assert terminal.colour is colour
    assert (b"\x1b" in os.read(reading, 1_000)) is colour
    assert not Terminal(stream, format="json", environ={}).colour
    assert not Terminal(io.StringIO(), environ={}).colour


def test_a_pipe_without_a_reader_costs_lines_not_time() -> None:
    """What does not fit is skipped and counted; later lines begin on a line of their own."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with os.fdopen(writing, "w") as stream:
        terminal = Terminal(stream)
        shown = 0
        while not terminal.skipped:
            terminal.show([RECORD])
            shown += 1
            assert shown < 100_000
        rest = b""
        while len(rest) < 60_000:
            rest += os.read(reading, 65_536)
        terminal.show([RECORD])
        rest += os.read(reading, 65_536)
        assert terminal.skipped == 1
        assert rest.endswith(b"\n00:00:00 SOLUSDT crashed\n")
    os.close(reading)


def test_a_reader_that_went_away_is_forgotten() -> None:
    """A broken pipe is no error of the fleet."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        terminal = Terminal(stream)
        terminal.show([RECORD, RECORD])

    assert terminal.skipped == 2


def test_no_terminal_at_all_is_fine() -> None:
    """Started with stdout closed, or closed since."""
    with closing(io.StringIO()) as stream:
        terminal = Terminal(stream)
    terminal.show([RECORD])
    nothing = Terminal(None)
    nothing.show([RECORD])
    Terminal(stream).show([RECORD])

    assert (terminal.skipped, nothing.skipped) == (1, 1)
