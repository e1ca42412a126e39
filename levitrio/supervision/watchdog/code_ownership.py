"""Tells from the frames of a stack whether an engine's code or the fleet's own code runs.

Rules, judged by the file of each frame, from the innermost outwards:

* If the innermost frame is our own (or trio's), our own code runs. It is never interrupted,
  because it may be in the middle of something that outlives the engine.
* Otherwise the frames up to the first own one are judged together. If that own frame is in an
  *entry point*, one of the few own files that call engines, they are the engine's; called from
  any other own file (the journal in the middle of a `json.dumps`), they are ours.
* If all of these frames are in the standard library, they are ours too.
"""

import os
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FrameType

import attrs
import trio

from levitrio.supervision.crash import Frame


def _folder(path: Path | str) -> str:
    return str(Path(path).resolve()) + os.sep


_TRIO = str(Path(trio.__file__).parent) + os.sep
_STANDARD = tuple({_folder(sysconfig.get_path(key)) for key in ("stdlib", "platstdlib")})
# Installed packages live inside the standard library's folder but do not count as part of it: a
# strategy may be an installed package.
_INSTALLED = tuple({_folder(sysconfig.get_path(key)) for key in ("purelib", "platlib")})


def _is_standard(file: str) -> bool:
    return file.startswith("<frozen ") or (
        file.startswith(_STANDARD) and not file.startswith(_INSTALLED)
    )


@attrs.frozen(kw_only=True)
class CodeOwnership:
    """Tells the fleet's own files from those of engines. Each text is the beginning of a path."""

    own: tuple[str, ...]
    """The fleet's own code, which is never interrupted."""
    lent: tuple[str, ...] = ()
    """Parts of `own` that engines run as their code: built-in strategies."""
    entry_points: tuple[str, ...] = ()
    """Parts of `own` that call the code of engines."""

    @classmethod
    def around(
        cls, package: Path, *, lent: Iterable[str], entry_points: Iterable[str]
    ) -> "CodeOwnership":
        """Own code is `package` and trio; `lent` and `entry_points` are relative to `package`.

        A folder ends in a slash. trio is an entry point, because it runs the tasks that engines
        start.
        """
        root = str(package) + os.sep
        return cls(
            own=(root, _TRIO),
            lent=tuple(root + each for each in lent),
            entry_points=(*(root + each for each in entry_points), _TRIO),
        )

    def place(self, frames: Iterable[Frame]) -> Frame | None:
        """The innermost frame in the engine's own module; None when the fleet's own code runs.

        `frames` begin with the innermost. The engine's own module is the outermost file called
        from the entry point that is not the standard library's, so a strategy that hangs inside
        a library is reported with its own line. A stack that ends before an own frame (a dump is
        cut after 100) is an engine's.
        """
        called: list[Frame] = []
        for frame in frames:
            if self._is_own(frame[0]):
                if not frame[0].startswith(self.entry_points):
                    return None
                break
            called.append(frame)
        files = [frame[0] for frame in called if not _is_standard(frame[0])]
        theirs = [file for file in files if not file.startswith(self.lent)] or files
        if not theirs:
            return None
        return next(frame for frame in called if frame[0] == theirs[-1])

    def _is_own(self, file: str) -> bool:
        return file.startswith(self.own) and not file.startswith(self.lent)


def frames_of(frame: FrameType | None) -> Iterator[Frame]:
    """The stack of a running frame, innermost first, produced lazily."""
    while frame is not None:
        code = frame.f_code
        yield code.co_filename, frame.f_lineno or 0, code.co_qualname
        frame = frame.f_back
