"""The recording format: lines of `<local ns> {"stream":"<name>","data":<payload>}`.

The time is the recorder's clock in ns since 1970, 19 digits in every line the writer makes. REST
answers between the frames (a depth snapshot) have no stream and are passed over. A line that is
neither is refused with a text, and the reading goes on: one torn line must not cost the rest of
a day.

Replay only slices a line written as the venue writes it, at known places; parsing every line, be
it with one regular expression over a block, costs three times as much. Other lines go to
`normalize_line`.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import msgspec

from levitrio.errors import UsageError
from levitrio.venues.recordings.line_file import LineFile

TIME_DIGITS = 19
"""Enough until the year 2286."""
FRAME_AT = TIME_DIGITS + 1
"""Where the frame begins in a line."""
NAME_AT = FRAME_AT + len('{"stream":"')
"""Where the stream's name begins in a usual line."""

PROBED_LINES = 20_000
"""Lines of a file searched for its streams: some minutes of a busy pair. The venue sends a kline
every 2 s."""

_MERGED = 4_096


class TapeEvent(msgspec.Struct, frozen=True, gc=False):
    """One message of one stream. A Struct, not attrs: one is made per frame on the hot path."""

    time_ns: int
    """What paces it: market time of a generated tape, local time of a recording."""
    stream: str
    """The venue's name, such as `btcusdt@trade`."""
    data: bytes
    """The payload, JSON, without the envelope of combined streams."""

    def combined(self) -> bytes:
        """The payload in the envelope of combined streams."""
        return b'{"stream":"%b","data":%b}' % (self.stream.encode(), self.data)


class _Frame(msgspec.Struct, gc=False):
    stream: str | None = None
    data: msgspec.Raw = msgspec.Raw()


_decode_frame = msgspec.json.Decoder(_Frame).decode


def format_line(time_ns: int, frame: bytes) -> bytes:
    """The line to write for a frame received at a local time."""
    # A line break inside a frame is white space to JSON, but would end the line.
    return b"%d %b\n" % (time_ns, frame.replace(b"\r", b" ").replace(b"\n", b" "))


def parse_line(line: bytes) -> TapeEvent | None:
    """The frame of a line; None for an empty line and for a REST answer between the frames.

    Raises:
        ValueError: the line is neither; says what was expected and what came.
    """
    time, _, text = line.partition(b" ")
    try:
        if not time.isdigit() or len(time) > TIME_DIGITS:
            raise ValueError("no local time in ns before the JSON")
        frame = _decode_frame(text)
    except ValueError as error:
        if not line.strip():
            return None
        raise ValueError(
            f"expected `<local ns> <JSON frame>`, got: {error}, in {line[:60]!r}"
        ) from None
    if frame.stream is None:
        return None
    return TapeEvent(int(time), frame.stream, bytes(frame.data))


def payload_at(stream: str) -> int:
    """Where the payload begins in a usual line of that stream; it ends before the last `}`."""
    return NAME_AT + len(stream) + len('","data":')


def normalize_line(line: str, refuse: Callable[[str], None]) -> tuple[str, str] | None:
    """The line with its time and frame at their usual places, and the name of its stream.

    Returns:
        None for a line without a frame; garbage goes to `refuse` as a text.
    """
    try:
        event = parse_line(line.encode())
    except ValueError as error:
        refuse(str(error))
        return None
    if event is None:
        return None
    frame = line.partition(" ")[2].strip()
    return f"{event.time_ns:0{TIME_DIGITS}} {frame}", event.stream


def blocks_of(files: Sequence[LineFile], refuse: Callable[[str], None]) -> Iterator[list[str]]:
    """All lines in blocks: those of one file in its order, of several merged by local time.

    Each file keeps its own order; a time that steps back inside one counts as the time before.
    """
    if len(files) == 1:
        for text in files[0].blocks():
            yield text.split("\n")
        return
    # All times have the same number of digits, so lines compare as their times do.
    merged = heapq.merge(*(_timed_lines(file, refuse) for file in files))
    while block := list(islice(merged, _MERGED)):
        yield block


def streams_in(file: LineFile) -> set[str]:
    """The streams of the first `PROBED_LINES` lines. Refused lines are not reported.

    Raises:
        UsageError: not one of these lines holds a frame.
    """
    found: set[str] = set()
    for line in islice(file.lines(), PROBED_LINES):
        if line[NAME_AT : line.find('"', NAME_AT)] not in found:
            normalized = normalize_line(line, _ignore)
            if normalized is not None:
                found.add(normalized[1])
    if not found:
        raise UsageError(f"{file.path}: expected lines of `<local ns> <JSON frame>`, found not one")
    return found


def is_recording(file: LineFile) -> bool:
    """Whether the first line is `<local ns> <JSON>`."""
    time, _, text = next(file.lines(), "").partition(" ")
    return time.isdigit() and text.lstrip().startswith("{")


def _timed_lines(file: LineFile, refuse: Callable[[str], None]) -> Iterator[str]:
    """The lines that begin with a time: any other would spoil the order of the merge."""
    for line in file.lines():
        if line[TIME_DIGITS:FRAME_AT] == " ":
            yield line
        elif (normalized := normalize_line(line, refuse)) is not None:
            yield normalized[0]


def _ignore(_: str) -> None:
    pass
