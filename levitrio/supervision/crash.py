"""Copies type, text and frames of an exception, so that the exception itself can be dropped.

An exception keeps its frames alive, and those keep everything the dead incarnation held. So at
the crash only the type's name, a capped text and the places of the frames are copied, without
formatting anything and without recursion: user code made the exception, and it may be a group
5,000 deep, may have a `__str__` that raises, or a text of a gigabyte. `describe` adds the
source lines; it reads files and belongs in a thread.
"""

import linecache
import os
import reprlib
import stat
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import msgspec
import trio

from levitrio.supervision.current_engine import EngineBlocked

MAX_TEXT = 2_000
"""Characters of an exception's text; the limit of an incident's `error`."""
MAX_DESCRIPTION = 64 * 1024
"""Bytes of a description as UTF-8."""

_HEAD_FRAMES = 8
_TAIL_FRAMES = 32
_MAX_TRACEBACK = 20_000
_MAX_LEAVES = 20_000
_MAX_CAUSES = 3
_MAX_NAME = 200
_MAX_LINE = 300
_MAX_SOURCE = 4 * 1024 * 1024
_OURS = str(Path(__file__).parent) + os.sep
_UNUSUAL = (BaseExceptionGroup, trio.Cancelled)

Frame = tuple[str, int, str]
"""File, line, function."""


class Crash(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One unwanted end of an incarnation: exception type, text, frames and cause.

    A Struct, like the events of the restart path: made in C, at a tenth of the cost.
    """

    kind: str
    """The exception's type name, or a name for a crash without one; at most 200 characters."""
    text: str = ""
    """At most 2,000 characters, always encodable."""
    frames: tuple[Frame, ...] = ()
    """Outermost first; of a long traceback only both ends. The supervisor's frames are left out."""
    cause: str = "crash"
    """`crash`, `heartbeat`, `errors`, `stale`, `start_timeout`, `blocked`."""
    others: int = 0
    """Exceptions in the same group that are not described."""
    cancelled: bool = False
    """Nothing but `Cancelled` was raised."""
    because: "Crash | None" = None
    """The exception's `__cause__` or `__context__`."""

    @property
    def error(self) -> str:
        """`Type: text`, at most 2,000 characters."""
        return f"{self.kind}: {self.text}"[:MAX_TEXT] if self.text else self.kind


class Sealed(Exception):
    """Carries a crash through nurseries in place of the exception.

    A nursery formats the exceptions that pass through it with `repr`, on the run loop: a
    strategy's exception with a `__repr__` that raises would end the whole run there. Code that
    calls a strategy in a task of its own raises `Sealed(capture(exc))`; `capture` unpacks it.
    """

    def __init__(self, crash: Crash) -> None:
        super().__init__(crash.kind)
        self.crash = crash


def capture(exc: BaseException, cause: str = "crash") -> Crash:
    """Copy an exception into a `Crash`, bounded in size; never raises, keeps no reference to it.

    An exception group is described by its first leaf that is not `Cancelled`.
    """
    try:
        others = 0
        cancelled = False
        leaf = exc
        if isinstance(exc, _UNUSUAL):
            if isinstance(exc, BaseExceptionGroup):
                leaf, others, cancelled = _first_leaf(exc)
            else:
                cancelled = True
        if type(leaf) is Sealed:
            return leaf.crash
        if type(leaf) is EngineBlocked:
            cause = "blocked"
        because = None
        if leaf.__cause__ is not None or leaf.__context__ is not None:
            for link in reversed(list(_causes(leaf))):
                because = Crash(
                    kind=_kind(link), text=_text(link), frames=_frames(link), because=because
                )
        return Crash(
            kind=_kind(leaf),
            text=_text(leaf),
            frames=_frames(leaf if leaf.__traceback__ else exc),
            cause=cause,
            others=others,
            cancelled=cancelled,
            because=because,
        )
    except BaseException:  # noqa: BLE001  attributes of foreign exceptions may be anything
        return Crash(kind=_kind(exc), text="(nothing more could be read from it)", cause=cause)


def _first_leaf(
    exc: BaseExceptionGroup[BaseException],
) -> tuple[BaseException, int, bool]:
    """The leaf to describe, how many siblings the outermost group has, whether all are Cancelled.

    Iterative, and bounded by `_MAX_LEAVES`: user code may raise a group 5,000 deep.
    """
    others = len(exc.exceptions) - 1
    first: BaseException | None = None
    todo: list[Iterator[BaseException]] = [iter(exc.exceptions)]
    for _ in range(_MAX_LEAVES):
        if not todo:
            return (exc if first is None else first), others, True
        leaf = next(todo[-1], None)
        if leaf is None:
            todo.pop()
        elif isinstance(leaf, BaseExceptionGroup):
            todo.append(iter(leaf.exceptions))
        elif not isinstance(leaf, trio.Cancelled):
            return leaf, others, False
        elif first is None:
            first = leaf
    return exc, others, False


def _causes(exc: BaseException) -> Iterator[BaseException]:
    for _ in range(_MAX_CAUSES):
        link = exc.__cause__
        if link is None and not exc.__suppress_context__:
            link = exc.__context__
        if link is None or isinstance(link, trio.Cancelled | BaseExceptionGroup):
            return
        yield link
        exc = link


def _kind(exc: BaseException) -> str:
    try:
        name = type(exc).__name__
        return _clean(name, _MAX_NAME) if type(name) is str else "BaseException"
    except BaseException:  # noqa: BLE001  a metaclass may answer with anything
        return "BaseException"


_brief = reprlib.Repr()
_brief.maxstring = _brief.maxother = MAX_TEXT
_brief.maxlevel = 4


def _text(exc: BaseException) -> str:
    """`str(exc)`, cut; where the type's `__str__` is a built-in, without formatting large args."""
    try:
        own = type(exc).__str__
        if own is BaseException.__str__:
            args = exc.args
            if not args:
                return ""
            if len(args) > 1:
                return _clean(_brief.repr(args), MAX_TEXT)
            return _clean(args[0] if type(args[0]) is str else _brief.repr(args[0]), MAX_TEXT)
        if own is KeyError.__str__:
            return _clean(_brief.repr(exc.args[0] if exc.args else ""), MAX_TEXT)
        if own is OSError.__str__ and isinstance(exc, OSError) and exc.errno is not None:
            where = "" if exc.filename is None else f": {_brief.repr(exc.filename)}"
            return _clean(f"[Errno {exc.errno}] {_brief.repr(exc.strerror)}{where}", MAX_TEXT)
        return _clean(str(exc), MAX_TEXT)
    except BaseException as failure:  # noqa: BLE001  a `__str__` of user code may raise anything
        return f"(its text could not be taken: {_kind(failure)})"


def _clean(text: str, limit: int) -> str:
    if type(text) is str and len(text) <= limit and text.isascii():
        return text
    # `str`'s own slice: a subclass may override it with anything.
    text = str.__getitem__(text, slice(0, limit))
    if text.isascii():
        return text
    # A lone surrogate could not be written to a log or a journal.
    return text.encode("utf-8", "backslashreplace").decode()[:limit]


def _frames(exc: BaseException) -> tuple[Frame, ...]:
    entry = exc.__traceback__
    while entry is not None and entry.tb_frame.f_code.co_filename.startswith(_OURS):
        entry = entry.tb_next
    head: list[Frame] = []
    while entry is not None and len(head) < _HEAD_FRAMES:
        head.append(_frame(entry))
        entry = entry.tb_next
    if entry is None:
        return tuple(head)
    tail: deque[TracebackType] = deque(maxlen=_TAIL_FRAMES)
    for _ in range(_MAX_TRACEBACK):
        if entry is None:
            break
        tail.append(entry)
        entry = entry.tb_next
    return (*head, *[_frame(each) for each in tail])


def _frame(entry: TracebackType) -> Frame:
    code = entry.tb_frame.f_code
    return code.co_filename, entry.tb_lineno, code.co_qualname


def describe(crash: Crash) -> str:
    """Format a crash as a traceback with source lines, at most 64 KiB as UTF-8.

    Reads source files: run it in a thread, never on the run loop.
    """
    parts: list[str] = []
    link: Crash | None = crash
    while link is not None:
        lines = ["Traceback (most recent call last):"] if link.frames else []
        for file, line, function in link.frames:
            lines.append(f'  File "{file[-_MAX_LINE:]}", line {line}, in {function[:_MAX_LINE]}')
            if source := _source(file, line):
                lines.append(f"    {source}")
        lines.append(link.error)
        if link.others:
            lines.append(f"(and {link.others} more in the same group)")
        parts.append("\n".join(lines))
        link = link.because
    text = "\n\nwhich led to:\n\n".join(reversed(parts))
    raw = text.encode("utf-8", "backslashreplace")
    if len(raw) > MAX_DESCRIPTION:
        # Both ends are kept: the outermost cause and the exception itself.
        half = MAX_DESCRIPTION // 2 - 16
        raw = raw[:half] + b"\n[...]\n" + raw[-half:]
    return raw.decode("utf-8", "ignore")


def _source(file: str, line: int) -> str:
    try:
        # Code can be compiled under any file name, that of a pipe or an endless device too.
        status = Path(file).stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_SOURCE:
            return ""
    except (OSError, ValueError):
        return ""
    return linecache.getline(file, line).strip()[:_MAX_LINE]
