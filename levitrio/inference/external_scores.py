"""Reads external scores, such as sentiment, from files that another program writes.

The file is JSON, an object of symbol -> probability of a rise from 0 to 1. Its age counts from its
last change. It is read off the loop, again only when it has changed; the program that writes it
should write to a temporary file and rename.
"""

from collections.abc import Callable
from pathlib import Path

import attrs
import msgspec
import trio

from levitrio.inference.interface import Missing
from levitrio.regular_file import read_regular, reason_of

PERIOD = 1.0
"""Seconds between two checks for changes."""

MAX_BYTES = 1024 * 1024

_decode = msgspec.json.Decoder(dict[str, float]).decode


@attrs.frozen(kw_only=True)
class Scores:
    """Content of one file as last read."""

    changed_at: float = 0.0
    """Seconds since 1970."""
    by_symbol: dict[str, float] = attrs.field(factory=dict)
    trouble: str = "it was not read yet"
    """Why there are no scores; empty when there are."""


@attrs.define(eq=False, kw_only=True)
class ScoreFiles:
    """All score files of a fleet; look-ups are from memory."""

    folder: Path
    """Folder that their paths are relative to."""
    wall_clock: Callable[[], float]
    in_replay: bool = False
    """A file holds today's scores, so a replay has none."""
    _files: dict[str, Scores] = attrs.field(factory=dict)
    _wanted: trio.Event = attrs.field(factory=trio.Event)

    def add(self, path: str) -> None:
        """Watch a file, which need not exist yet."""
        self._files.setdefault(path, Scores())
        if not self.in_replay:
            self._wanted.set()

    def look_up(self, path: str, symbol: str, max_age: float) -> float | Missing:
        """The newest score of a symbol, if it is no older than `max_age` seconds."""
        if self.in_replay:
            return Missing(code="no_past", reason=f"{path}: a score file has no past to replay")
        scores = self._files.get(path, Scores())
        if scores.trouble:
            return Missing(code="no_file", reason=f"{path}: {scores.trouble}")
        if self.wall_clock() - scores.changed_at > max_age:
            return Missing(code="too_old", reason=f"{path}: not written for {max_age:g} s")
        value = scores.by_symbol.get(symbol)
        if value is None:
            return Missing(code="no_symbol", reason=f"{path}: no score for {symbol}")
        if not 0.0 <= value <= 1.0:
            reason = f"{path}: expected a score from 0 to 1 for {symbol}, got {value!r}"
            return Missing(code="bad_score", reason=reason)
        return value

    async def run(self) -> None:
        """Read changed files, once a second, until cancelled. Sleeps until a file is added."""
        await self._wanted.wait()
        while True:
            for path, scores in list(self._files.items()):
                self._files[path] = await trio.to_thread.run_sync(
                    read_scores, self.folder / path, scores
                )
            await trio.sleep(PERIOD)


def read_scores(path: Path, known: Scores) -> Scores:
    """Read a file; returns `known` when it has not changed. Problems go into `trouble`."""
    try:
        content, changed_at = read_regular(path, MAX_BYTES)
    except OSError as exc:
        return Scores(trouble=reason_of(exc))
    if changed_at == known.changed_at and not known.trouble:
        return known
    try:
        return Scores(changed_at=changed_at, by_symbol=_decode(content), trouble="")
    except ValueError as exc:
        return Scores(trouble=f"expected an object of symbol -> number: {exc}")
