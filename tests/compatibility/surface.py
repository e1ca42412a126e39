"""What a user sees of levitrio, read from outside and made comparable.

Only public surfaces are touched: the command `levi`, files, the journal as an SQLite database,
the control socket, the REST calls. Nothing of the package is imported, so that modules and
classes may move without a change here.
"""

import ast
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.request import urlopen

import attrs

HERE = Path(__file__).parent
RECORDED = HERE / "made_by_8b022be"
ROOT = HERE.parents[1]
PATIENCE = 30.0
"""Seconds a test waits for something that takes one or two on a quiet machine."""

LEVI = str(Path(sys.executable).with_name("levi"))
"""The installed command of the interpreter that runs the tests."""

PROSE = frozenset({"description", "summary", "title"})
"""Keys of schemas and documents whose text may be edited."""

OPEN_MAPS = re.compile(r"(\.dropped|\.dropped_input|\.denials|\.reasons)$")
"""Paths of objects whose keys are reasons that occurred, and so differ from run to run."""


def environment(home: Path) -> dict[str, str]:
    """The environment of a command: a home of its own, and no setting of levitrio."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("LEVI_")}
    return {**kept, "HOME": str(home), "COLUMNS": "80"}


def levi(*words: str, home: Path, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """Run one command line to its end."""
    return subprocess.run(
        [LEVI, *words],
        cwd=cwd,
        env=environment(home),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@attrs.define(eq=False)
class RunningFleet:
    """`levi run` in a process of its own; killed at the end of the block if it still runs."""

    home: Path
    file: Path
    name: str
    _process: "subprocess.Popen[bytes] | None" = None

    def __enter__(self) -> Self:
        with (self.home / "out.txt").open("ab") as out:
            self._process = subprocess.Popen(
                [LEVI, "run", str(self.file)],
                cwd=self.file.parent,
                env=environment(self.home),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(PATIENCE)

    @property
    def output(self) -> str:
        return (self.home / "out.txt").read_text()

    def ctl(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return levi("ctl", *words, home=self.home)

    def document(self, *words: str) -> Any:
        """What a `levi ctl` command prints with --json."""
        return json.loads(self.ctl(*words, "--json").stdout)

    def until(self, condition: Callable[[Any], bool]) -> Any:
        """Poll the status document until the condition holds; returns that document."""
        deadline = time.monotonic() + PATIENCE
        while True:
            status = self.document("status")
            if status["reachable"] and condition(status):
                return status
            assert time.monotonic() < deadline, (status, self.output[-2000:])
            time.sleep(0.05)

    def call(self, method: str, **params: Any) -> Any:
        """One JSON-RPC request on the control socket; returns the whole answer."""
        path = self.home / ".local/state/levitrio/run" / f"{self.name}.sock"
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE)
            connection.connect(str(path))
            request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as answers:
                return json.loads(answers.readline())


def fetch(url: str) -> str:
    """The body of a GET on this machine."""
    with urlopen(url, timeout=PATIENCE) as answer:
        body: bytes = answer.read()
    return body.decode()


def rows(status: Mapping[str, Any]) -> dict[str, Any]:
    """The engines of a status document by symbol."""
    return {row["symbol"]: row for row in status["engines"]}


def shape(*documents: Any) -> dict[str, list[str]]:
    """Every path of JSON documents with the types of the values that stand there.

    Items of a list share one path, `[]`. The values and the order of keys do not matter.
    """
    found: dict[str, set[str]] = {}

    def look(value: Any, path: str) -> None:
        found.setdefault(path or ".", set()).add(_type(value))
        if isinstance(value, dict):
            for key, inner in value.items():
                is_open = OPEN_MAPS.search(path)
                look(inner, f"{path}.*" if is_open else f"{path}.{key}")
        elif isinstance(value, list):
            for inner in value:
                look(inner, f"{path}[]")

    for document in documents:
        look(document, "")
    return {path: sorted(types) for path, types in sorted(found.items())}


def _type(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number" if isinstance(value, float) else "integer"
        case str():
            return "string"
        case list():
            return "array"
    return "object"


def difference(now: Mapping[str, list[str]], recorded: Mapping[str, list[str]]) -> list[str]:
    """What two shapes disagree about, one line each; empty when they are the same.

    A type fewer than recorded is no difference, because it depends on the moment; a new one is.
    """
    lines = [f"new: {path} {types}" for path, types in now.items() if path not in recorded]
    lines += [f"gone: {path} {types}" for path, types in recorded.items() if path not in now]
    for path in sorted(now.keys() & recorded.keys()):
        if more := set(now[path]) - set(recorded[path]):
            lines.append(f"type: {path} {sorted(more)}, recorded {recorded[path]}")
    return lines


def without_prose(value: Any) -> Any:
    """A schema or a document without the texts that explain it.

    `description` as the name of a property is kept: there it is an object, not a text.
    """
    if isinstance(value, dict):
        return {
            key: without_prose(inner)
            for key, inner in value.items()
            if not (key in PROSE and isinstance(inner, str))
        }
    if isinstance(value, list):
        return [without_prose(inner) for inner in value]
    return value


def metrics_in(text: str) -> dict[str, list[str]]:
    """Names of Prometheus samples of levitrio with type and names of labels.

    What the client library tells of the interpreter (`python_`, `process_`) is left out.
    """
    types: dict[str, str] = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        sample = re.match(r"(levitrio_\w+)(?:\{(.*)\})? ", line)
        if sample:
            labels = re.findall(r'(\w+)="', sample[2] or "")
            found.setdefault(sample[1], set()).add(",".join(sorted(labels)))
    for name, kind in types.items():
        if name.startswith("levitrio_"):
            found.setdefault(name, set()).add(f"type {kind}")
    return {name: sorted(parts) for name, parts in sorted(found.items())}


def keys_by_kind(records: Iterable[Mapping[str, Any]], kind: str) -> dict[str, list[str]]:
    """Kind of event -> the keys its records have, those of `data` as `data.KEY`."""
    found: dict[str, set[str]] = {}
    for record in records:
        keys = found.setdefault(str(record[kind]), set())
        for key, value in record.items():
            keys.add(key)
            if isinstance(value, dict):
                keys.update(f"{key}.{inner}" for inner in value)
    return {name: sorted(keys) for name, keys in sorted(found.items())}


def log_records(data_dir: Path, prefix: str) -> list[dict[str, Any]]:
    """The lines of the log files that begin with a prefix."""
    files = sorted((data_dir / "logs").glob(f"{prefix}*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def journal_layout(path: Path) -> dict[str, Any]:
    """The statements that made the tables, and the numbers in the header of the file."""
    connection = sqlite3.connect(path)
    try:
        made = connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name")
        layout = {f"{kind} {name}": sql for kind, name, sql in made}
        pragmas = {
            name: connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("user_version", "application_id", "journal_mode", "encoding")
        }
    finally:
        connection.close()
    return {"made": layout, "pragmas": pragmas}


def help_of(*words: str, home: Path) -> dict[str, Any]:
    """Commands, arguments and options that `levi ... --help` lists, without what it says of them.

    Of an option: its names, its placeholder, and what stands in brackets (default, limits).
    """
    text = levi(*words, "--help", home=home).stdout
    found: dict[str, Any] = {"commands": [], "arguments": [], "options": []}
    section = ""
    entries: list[list[str]] = []
    kinds: list[str] = []
    for line in text.splitlines():
        if re.fullmatch(r"(Options|Arguments|Commands):", line):
            section = line[:-1].lower()
        elif not line.startswith(" "):
            section = ""
        elif section and re.match(r"  \S", line):
            entries.append([line.strip()])
            kinds.append(section)
        elif section and line.strip():
            entries[-1].append(line.strip())
    for section, lines in zip(kinds, entries, strict=True):
        joined = "  ".join(lines[:1]) + ("  " if len(lines) > 1 else "") + " ".join(lines[1:])
        name, _, says = joined.partition("  ")
        if section == "commands":
            found[section].append(name)
            continue
        brackets = re.findall(r"\[(?:default: [^\]]*|required|[^\]]*<=?[^\]]*)\]", says)
        found[section].append(" ".join(" ".join([name, *brackets]).split()))
    usage = re.search(r"^Usage: (.*?)\n\n", text, re.MULTILINE | re.DOTALL)
    found["usage"] = " ".join(usage[1].split()) if usage else ""
    return found


def load(name: str) -> Any:
    """A file that was made with 8b022be."""
    return json.loads((RECORDED / name).read_text())


def literals(folder: Path) -> set[str]:
    """Every text that stands as a whole in the source files of a folder.

    Keys of dictionaries and sides of comparisons do not count: they read a word, and would keep
    one that is no longer written.
    """
    found: set[str] = set()
    for path in folder.rglob("*.py"):
        read: set[int] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Dict):
                read.update(id(key) for key in node.keys)
            elif isinstance(node, ast.Compare):
                read.update(id(side) for side in ast.walk(node))
            elif isinstance(node, ast.Constant) and id(node) not in read:
                found.add(str(node.value))
    return found
