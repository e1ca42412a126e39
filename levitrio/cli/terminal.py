"""Writes tables, durations and untrusted text to the terminal. Imports little."""

import os
import sys
from collections.abc import Sequence

_COLOURS = {
    "running": "32",
    "active": "32",
    "starting": "36",
    "stopping": "36",
    "paused": "33",
    "reducing": "33",
    "crashed": "31",
    "failed": "1;31",
    "stuck": "1;31",
    "halted": "1;31",
    "LIVE": "1;97;41",  # white on red, which nothing else uses
}


def neutral(value: object) -> str:
    """`value` as one line of text, with control and direction characters escaped."""
    text = str(value)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def is_terminal() -> bool:
    """Whether standard output is a terminal."""
    return sys.stdout is not None and sys.stdout.isatty()


def uses_colour() -> bool:
    """Whether to write colours: on a terminal, without NO_COLOR, not for TERM=dumb."""
    return is_terminal() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(word: str, width: int, *, colour: bool) -> str:
    """A state word in its colour, padded without colour."""
    code = _COLOURS.get(word) if colour else None
    padding = " " * max(0, width - len(word))
    return f"\x1b[{code}m{word}\x1b[0m{padding}" if code else word + padding


def duration(seconds: object) -> str:
    """Seconds as `3.2s`, `4m10s`, `2h05m` or `3d04h`; `-` for anything but a finite number."""
    if not isinstance(seconds, int | float) or seconds - seconds != 0:  # infinite or nan
        return "-"
    if seconds < 60:
        return f"{max(0.0, seconds):.1f}s"
    minutes = int(seconds) // 60
    if minutes < 60:
        return f"{minutes}m{int(seconds) % 60:02d}s"
    if minutes < 24 * 60:
        return f"{minutes // 60}h{minutes % 60:02d}m"
    return f"{minutes // (24 * 60)}d{minutes // 60 % 24:02d}h"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, states: int = -1) -> list[str]:
    """Left-aligned columns as lines; column number `states` is coloured.

    On a terminal lines are cut at its width; elsewhere (mail, a file) they are whole.
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    limit = _terminal_width()
    colour = uses_colour()
    lines = ["  ".join(map(str.ljust, header, widths)).rstrip()]
    for row in rows:
        cells = [
            paint(cell, width, colour=colour) if number == states else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        spare = limit - sum(widths[:-1]) - 2 * (len(widths) - 1) if limit else 0
        cells[-1] = row[-1][: max(spare, 8)] if limit else row[-1]
        lines.append("  ".join(cells).rstrip())
    return lines


class OutputFailed(OSError):
    """Standard output cannot be written, for another reason than a closed pipe: a full disk."""


def write(text: str) -> None:
    """Print lines, escaping what the encoding of standard output lacks.

    Raises:
        BrokenPipeError: The reader has closed its end; `main` ends silently.
        OutputFailed: Writing failed; `main` prints one line.
    """
    if sys.stdout is None:  # started with standard output closed
        return
    encoding = sys.stdout.encoding or "utf-8"
    try:
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputFailed(error.errno, error.strerror) from error


def complain(text: str, hint: str = "") -> None:
    """Print an error as one line on standard error, with the next command to type."""
    if sys.stderr is None:
        return
    advice = f"; type: {hint}" if hint.startswith("levi ") else f"; {hint}" if hint else ""
    encoding = sys.stderr.encoding or "utf-8"
    line = f"Error: {neutral(text)}{neutral(advice)}\n"
    sys.stderr.write(line.encode(encoding, "backslashreplace").decode(encoding))


def _terminal_width() -> int:
    """The columns of the terminal; 0 when standard output is none."""
    if not is_terminal():
        return 0
    wanted = os.environ.get("COLUMNS", "")
    if wanted.isdecimal() and len(wanted) < 5 and int(wanted) > 0:
        return int(wanted)
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns
    except OSError:
        return 0
