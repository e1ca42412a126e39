"""Reads fleet.toml: checks that only its owner may change it, that it is UTF-8, and TOML.

A user who may write the file, or put a module beside it, can run code as the user who starts the
fleet. The checks look at the opened file, not at its name, which could change in between.
"""

import re
import stat
import tomllib
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from levitrio.config.diagnostics import printable
from levitrio.errors import ConfigError
from levitrio.regular_file import NotARegularFile, open_regular

MAX_BYTES = 4 * 1024 * 1024
"""10,000 engines with parameters of their own take 2 MiB."""

MAX_DEPTH = 32
"""Levels of nested tables; fleet.toml needs six."""

# tomllib's time grows with the square of the names in one dotted key.
_LONG_KEY = re.compile(r"(?<![\w.-])(?:[\w-]+\.){64}")
_POSITION = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def read_text(path: Path) -> str:
    """Read a file that only its owner may change.

    Raises:
        ConfigError: The file is missing, no regular file, too large, writable by others, or not
            UTF-8.
    """
    try:
        content = _content(path)
        for folder in {path.absolute().parent, path.resolve().parent}:
            if folder.stat().st_mode & stat.S_IWOTH:
                raise _refused(
                    path,
                    "expected a folder that only its owner may write, came "
                    f"{printable(str(folder))}, where every user may put a strategy "
                    f"(mode {stat.S_IMODE(folder.stat().st_mode):04o}; chmod o-w repairs it)",
                )
    except OSError as error:
        hint = "; `levi init` writes one" if isinstance(error, FileNotFoundError) else ""
        raise _refused(path, f"expected a file to read, came: {error.strerror}{hint}") from None
    except ValueError as error:
        raise _refused(path, f"expected a path, came: {error}") from None
    if len(content) > MAX_BYTES:
        raise _refused(path, f"expected at most {MAX_BYTES // 2**20} MiB, came more")
    return _decoded(path, content)


def _content(path: Path) -> bytes:
    try:
        file, about = open_regular(path)
    except NotARegularFile as error:
        raise _refused(path, f"expected a file, came {_what(error.mode)}") from None
    with file:
        if about.st_mode & stat.S_IWOTH:
            raise _refused(
                path,
                "expected a file that only its owner may write, came one that every user may "
                f"(mode {about.st_mode & 0o777:04o}; chmod o-w repairs it)",
            )
        return file.read(MAX_BYTES + 1)


def parse(path: Path, text: str) -> dict[str, Any]:
    """Parse TOML text into tables, floats as Decimal.

    Raises:
        ConfigError: The text is no TOML, or nested too deep; names the line of the first error.
    """
    match = _LONG_KEY.search(text)
    if match is not None:
        line = text.count("\n", 0, match.start()) + 1
        raise _refused(path, f"expected at most {MAX_DEPTH} names in a key, came more", line)
    too_deep = f"expected at most {MAX_DEPTH} levels of tables and arrays, came more"
    try:
        tables = tomllib.loads(text, parse_float=_exact)
    except tomllib.TOMLDecodeError as error:
        raise _refused(path, *_explained(str(error), text)) from None
    except ValueError as error:
        # int() refuses thousands of digits without their position.
        digits = re.search(r"[0-9_]{4300}", text)
        line = text.count("\n", 0, digits.start() if digits else 0) + 1
        raise _refused(path, f"expected TOML, came: {printable(str(error))}", line) from None
    except RecursionError:
        raise _refused(path, too_deep) from None
    if _is_deep(tables):
        raise _refused(path, too_deep)
    return tables


def _refused(path: Path, text: str, line: int | None = None) -> ConfigError:
    place = "" if line is None else f":{line}"
    return ConfigError((f"{printable(str(path))}{place}: {text}",))


def _what(mode: int) -> str:
    for is_it, name in (
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISSOCK, "a socket"),
    ):
        if is_it(mode):
            return name
    return "a device"


def _decoded(path: Path, content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _refused(path, "expected UTF-8, came UTF-16; save the file as UTF-8", 1)
    if content.startswith(b"\xef\xbb\xbf"):
        raise _refused(
            path, "expected UTF-8, came a byte order mark; save the file as UTF-8 without one", 1
        )
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        raise _refused(path, f"expected UTF-8, came the byte 0x{byte:02x}", line) from None


def _exact(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal("Infinity")  # an exponent of many digits; every value type refuses it


def _explained(message: str, text: str) -> tuple[str, int]:
    """Turn tomllib's message into ours, and find its line."""
    match = _POSITION.search(message)
    what = message[: match.start()] if match else message
    line, column = len(text.splitlines()) or 1, ""
    if match and match.group(1):
        line, column = int(match.group(1)), f" (column {match.group(2)})"
    lines = text.split("\n")
    written = lines[line - 1] if line <= len(lines) else ""
    hint = ""
    if re.match(r"\s*\[\s*engines\s*\.[^\"'\]]*/", written):
        hint = '; a symbol with a slash needs quotes: [engines."BTC/USDT"]'
    return f"expected TOML, came: {printable(what)}{column}{hint}", line


def _is_deep(tables: dict[str, Any]) -> bool:
    level: list[Any] = [tables]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for holder in level
            for item in (holder.values() if isinstance(holder, dict) else holder)
            if isinstance(item, dict | list)
        ]
        if not level:
            return False
    return True
