"""Recorded lines: `<local ns, 19 digits> {"stream":"<name>","data":<payload>}`.

A line as the venue writes it is only sliced, at places that are known; taking every line apart,
be it with one regular expression over a block, costs three times as much. What is not where it
should be is looked at closely by `look_closer`, which finds out whether it is a frame at all.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import msgspec

from levitrio.venues.recordings.line_file import LineFile

TIME_DIGITS = 19
"""Until the year 2286."""
FRAME_AT = TIME_DIGITS + 1
"""Where the frame begins in a line."""
NAME_AT = FRAME_AT + len('{"stream":"')
"""Where the stream's name begins in a usual line."""

_MERGED = 4_096


class _Frame(msgspec.Struct, gc=False):
    stream: str | None = None


_decode_frame = msgspec.json.Decoder(_Frame).decode


def payload_at(stream: str) -> int:
    """Where the payload begins in a usual line of that stream; it ends before the last `}`."""
    return NAME_AT + len(stream) + len('","data":')


def look_closer(line: str, refuse: Callable[[str], None]) -> tuple[str, str] | None:
    """The line with its time and frame where they should be, and the name of its stream.

    None for what is no frame of a stream: a REST answer between the frames, an empty line, or
    garbage, which goes to `refuse` in words.
    """
    time, _, text = line.partition(" ")
    try:
        if not time.isdigit() or len(time) > TIME_DIGITS:
            raise ValueError("no local time in ns before the JSON")
        name = _decode_frame(text).stream
    except ValueError as error:
        if line.strip():
            refuse(f"expected `<local ns> <JSON frame>`, got: {error}, in {line[:60]!r}")
        return None
    return None if name is None else (f"{time:0>{TIME_DIGITS}} {text.strip()}", name)


def blocks_of(files: Sequence[LineFile], refuse: Callable[[str], None]) -> Iterator[list[str]]:
    """All lines in blocks: of one file in its order, of several merged by their local time.

    Each file keeps its own order; a time that steps back inside one counts as the time before.
    """
    if len(files) == 1:
        for text in files[0].blocks():
            yield text.split("\n")
        return
    # All times have the same number of digits, so lines compare as their times do.
    merged = heapq.merge(*(_whole_lines(file, refuse) for file in files))
    while block := list(islice(merged, _MERGED)):
        yield block


def streams_in(file: LineFile, most: int) -> set[str]:
    """The streams of the first so many lines."""
    found: set[str] = set()
    for line in islice(file.lines(), most):
        if line[NAME_AT : line.find('"', NAME_AT)] not in found:
            closer = look_closer(line, lambda _: None)
            if closer is not None:
                found.add(closer[1])
    return found


def _whole_lines(file: LineFile, refuse: Callable[[str], None]) -> Iterator[str]:
    """Lines that begin with a time: any other would spoil the order of the rest."""
    for line in file.lines():
        if line[TIME_DIGITS:FRAME_AT] == " ":
            yield line
        elif (closer := look_closer(line, refuse)) is not None:
            yield closer[0]
