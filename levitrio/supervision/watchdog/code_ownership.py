"""Where the code of an engine begins, seen from the frames of a stack.

Rules, judged by the file of each frame, from the innermost outwards:

* The innermost frame is our own (or trio's): our own code runs. It is never interrupted,
  because it may be half way through something that outlives the engine.
* Else what was called is the stretch of frames up to the first own one. Was it called from a
  *door*, one of the few own files that call engines, it is the engine's; called from anywhere
  else (the journal in the middle of a `json.dumps`), it is ours.
* A stretch of nothing but the standard library is ours too.
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
# Installed packages live inside of the standard library's folder, and are nobody's library here:
# a strategy may be one.
_INSTALLED = tuple({_folder(sysconfig.get_path(key)) for key in ("purelib", "platlib")})


def _is_standard(file: str) -> bool:
    return file.startswith("<frozen ") or (
        file.startswith(_STANDARD) and not file.startswith(_INSTALLED)
    )


@attrs.frozen(kw_only=True)
class CodeOwnership:
    """Between the fleet's own code and that of engines. Every text is the beginning of a path."""

    own: tuple[str, ...]
    """Code that is never interrupted."""
    lent: tuple[str, ...] = ()
    """Of `own`, what engines run as theirs: built-in strategies."""
    entry_points: tuple[str, ...] = ()
    """Of `own`, what calls the code of engines."""

    @classmethod
    def around(
        cls, package: Path, *, lent: Iterable[str], entry_points: Iterable[str]
    ) -> "CodeOwnership":
        """The border of a package and trio; `lent` and `doors` are relative to `package`.

        A folder ends in a slash. trio is a door, because it runs the tasks that engines start.
        """
        root = str(package) + os.sep
        return cls(
            own=(root, _TRIO),
            lent=tuple(root + each for each in lent),
            entry_points=(*(root + each for each in entry_points), _TRIO),
        )

    def place(self, frames: Iterable[Frame]) -> Frame | None:
        """Where an engine's code stands: its innermost frame in the engine's own module.

        `frames` begin with the innermost. The engine's own module is the outermost file of the
        stretch that is not the standard library's, so a strategy that hangs inside of a library
        is told with its own line. None when our own code runs. A stack that ends before an own
        frame (a dump is cut after 100) is an engine's.
        """
        stretch: list[Frame] = []
        for frame in frames:
            if self._is_own(frame[0]):
                if not frame[0].startswith(self.entry_points):
                    return None
                break
            stretch.append(frame)
        files = [frame[0] for frame in stretch if not _is_standard(frame[0])]
        theirs = [file for file in files if not file.startswith(self.lent)] or files
        if not theirs:
            return None
        return next(frame for frame in stretch if frame[0] == theirs[-1])

    def _is_own(self, file: str) -> bool:
        return file.startswith(self.own) and not file.startswith(self.lent)


def frames_of(frame: FrameType | None) -> Iterator[Frame]:
    """The stack of a running frame, innermost first; taken only as far as it is asked for."""
    while frame is not None:
        code = frame.f_code
        yield code.co_filename, frame.f_lineno or 0, code.co_qualname
        frame = frame.f_back
