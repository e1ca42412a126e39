"""Finds the line of each key in a TOML text.

tomllib gives values without positions, so a refused file is scanned a second time here. The text
is one that tomllib has accepted, so nothing is validated. No step recurses, so no depth of
nesting can exhaust the stack.
"""

import bisect
import re
import tomllib

import attrs

from levitrio.config.diagnostics import KeyPath

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}(?!")'
    r"|'''.*?'{3,5}(?!')"
    r'|"(?:[^"\\]|\\.)*"'
    r"|'[^']*'",
    re.DOTALL,
)
# Numbers, booleans and dates; a date may contain a space, so only a delimiter ends the value.
_SCALAR = re.compile(r"[^,\]}\r\n#]*")


def locate(text: str) -> dict[KeyPath, int]:
    """Map each key, table and array item to its line, from 1.

    Raises:
        ValueError: Possibly, when the text is no valid TOML.
    """
    scanner = _Scanner(text=text)
    scanner.document()
    return scanner.lines


@attrs.define
class _Container:
    """An array or inline table that is still open."""

    path: KeyPath
    next_item: int | None
    """Index of the next item; None for an inline table, whose items have names."""


@attrs.define(eq=False)
class _Scanner:
    text: str
    position: int = 0
    lines: dict[KeyPath, int] = attrs.field(factory=dict)
    _line_starts: list[int] = attrs.field(factory=list)
    _array_tables: dict[KeyPath, int] = attrs.field(factory=dict)
    """Number of `[[x]]` headers so far."""

    def __attrs_post_init__(self) -> None:
        self._line_starts = [0, *(m.end() for m in re.finditer("\n", self.text))]

    def document(self) -> None:
        table: KeyPath = ()
        while True:
            self._take(_BLANK)
            if self.position >= len(self.text):
                return
            if self.text[self.position] == "[":
                table = self._header()
            else:
                self._value(self._key(table))

    def _header(self) -> KeyPath:
        line = self._line()
        is_array = self.text.startswith("[[", self.position)
        self.position += 2 if is_array else 1
        names = self._names()
        self.position += 2 if is_array else 1
        path: KeyPath = ()
        for i, name in enumerate(names):
            path = (*path, name)
            self.lines.setdefault(path, line)
            if is_array and i == len(names) - 1:
                self._array_tables[path] = self._array_tables.get(path, 0) + 1
            if path in self._array_tables:
                path = (*path, self._array_tables[path] - 1)
                self.lines.setdefault(path, line)
        return path

    def _key(self, table: KeyPath) -> KeyPath:
        """Read `a.b =`; each name gets its line."""
        line = self._line()
        path = table
        for name in self._names():
            path = (*path, name)
            self.lines.setdefault(path, line)
        self.position += 1  # the "="
        return path

    def _names(self) -> list[str]:
        names = []
        while True:
            self._take(_SPACE)
            if self.text[self.position] in "\"'":
                raw = self._take(_STRING)
                names.append(str(tomllib.loads(f"k={raw}")["k"]))
            else:
                names.append(self._take(_BARE_KEY))
            self._take(_SPACE)
            if self.text[self.position] != ".":
                return names
            self.position += 1

    def _value(self, path: KeyPath) -> None:
        """Read one value and everything inside it."""
        open_containers: list[_Container] = []
        while True:
            self._take(_BLANK)
            self.lines.setdefault(path, self._line())
            first = self.text[self.position]
            if first in "[{":
                self.position += 1
                open_containers.append(_Container(path, 0 if first == "[" else None))
            else:
                self._take(_STRING if first in "\"'" else _SCALAR)
            following = self._next_item(open_containers)
            if following is None:
                return
            path = following

    def _next_item(self, open_containers: list[_Container]) -> KeyPath | None:
        """Move past commas and closed containers; None when the whole value has ended."""
        while open_containers:
            self._take(_BLANK)
            match self.text[self.position]:
                case "]" | "}":
                    self.position += 1
                    open_containers.pop()
                case ",":
                    self.position += 1
                case _:
                    inner = open_containers[-1]
                    if inner.next_item is None:
                        return self._key(inner.path)
                    inner.next_item += 1
                    return (*inner.path, inner.next_item - 1)
        return None

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.position)
        if match is None:
            raise ValueError(f"expected TOML on line {self._line()}")
        self.position = match.end()
        return match.group()

    def _line(self) -> int:
        return bisect.bisect_right(self._line_starts, self.position)
