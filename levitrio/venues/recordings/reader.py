"""Reads the frames of one recording, with their payloads as they came."""

from collections.abc import Callable, Iterator
from pathlib import Path

import attrs

from levitrio.venues.recordings.frames import TapeEvent, parse_line, streams_in
from levitrio.venues.recordings.line_file import LineFile


@attrs.define(eq=False)
class RecordingReader:
    """One recording file; each iteration over it reads it from the start.

    Raises UsageError when the file is missing, is no regular file or cannot be opened.
    """

    path: Path
    on_refused: Callable[[str], None]
    """Called with `file:line: expected, came` for each refused line."""
    _file: LineFile = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._file = LineFile(self.path, self.on_refused)

    def __iter__(self) -> Iterator[TapeEvent]:
        """The frames in file order. Raises UsageError when the file cannot be opened."""
        number = 0
        for block in self._file.byte_blocks():
            for line in block.split(b"\n"):
                number += 1
                try:
                    event = parse_line(line)
                except ValueError as error:
                    self.on_refused(f"{self.path}:{number}: {error}")
                    continue
                if event is not None:
                    yield event

    def streams(self) -> set[str]:
        """The streams of the first lines. Raises UsageError when they hold no frame."""
        return streams_in(LineFile(self.path, _ignore))


def _ignore(_: str) -> None:
    pass
