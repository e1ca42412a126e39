"""Makes the files of `made_by_8b022be`: run once, with the code of that commit.

    mkdir -p /tmp/levitrio-fixture/8b022be
    git archive 8b022be levitrio | tar x -C /tmp/levitrio-fixture/8b022be
    PYTHONPATH=/tmp/levitrio-fixture/8b022be python -m tests.compatibility.record

The command `levi` beside the interpreter then runs that copy, because PYTHONPATH goes before
what is installed. Everything happens in /tmp/levitrio-fixture, so that no path of a machine
gets into a traceback or a log. `kinds.json` was not made here: see `test_kinds.py`. Nothing
here is to be made anew when behaviour changes on purpose: the file that differs is edited, and
the commit says why.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from tests.compatibility import data, documents, replays
from tests.compatibility.fleets import NAME, drive, free_port, short_home, write_fleet
from tests.compatibility.surface import RECORDED, ROOT, RunningFleet, rows, without_prose

NEUTRAL = Path("/tmp/levitrio-fixture")


def main() -> None:
    """Record everything."""
    source = os.environ["PYTHONPATH"]
    imported = [sys.executable, "-c", "import levitrio; print(levitrio.__file__)"]
    found = subprocess.check_output(imported, cwd="/", text=True)
    assert found.startswith(source), f"expected the code of 8b022be in {source}, found {found}"
    RECORDED.mkdir(exist_ok=True)
    _live()
    with short_home() as home:
        _write("commands", documents.of_commands(home))
    schema = json.loads((ROOT / "config" / "fleet.schema.json").read_text())
    _write("fleet_toml", without_prose(schema))
    for name in replays.FLEETS:
        with tempfile.TemporaryDirectory() as folder:
            _write(f"replay_{name}", replays.replayed(name, Path(folder)))
    for kind in data.KINDS:
        _data(kind)


def _live() -> None:
    folder = _empty("live")
    with short_home() as home:
        port = free_port()
        file = write_fleet(folder, port=port)
        with RunningFleet(home, file, NAME) as fleet:
            observed = drive(fleet, port)
            found = documents.of_fleet(observed)
            codes = documents.exit_codes(observed)
            codes["SIGTERM"] = fleet.stop()
        found |= documents.of_files(observed.data_dir)
        found["exit_codes"] = codes
    _write("fleet", found)


def _data(kind: str) -> None:
    folder = _empty(kind)
    with short_home() as home:
        file = write_fleet(folder)
        with RunningFleet(home, file, NAME) as fleet:
            drive(fleet)
            if kind == "stopped":
                assert fleet.ctl("halt", "--reason", "drill").returncode == 0
            else:
                assert fleet.ctl("stop", "BTCUSDT", "ADAUSDT", "--wait").returncode == 0
            # A snapshot with all of it, and strategies' state.
            fleet.until(lambda it: _photographed(folder / "data", it))
            expected: dict[str, Any] = data.lasting(fleet.document("status"))
            expected["history"] = fleet.document("history", "SOLUSDT")
            if kind == "stopped":
                assert fleet.stop() == 0
            else:
                fleet.kill()
                assert (folder / "data" / "journal.db-wal").stat().st_size > 0
    _pack(kind, folder)
    with short_home() as home:
        expected["journal"] = data.journal_of(folder / "fleet.toml", home)
    _write(f"data_{kind}", expected)


def _photographed(data_dir: Path, status: Any) -> bool:
    registry = json.loads((data_dir / "registry.json").read_text())["registry"]
    engines = {row["symbol"]: row["status"] for row in registry["engines"]}
    return engines == {symbol: row["status"] for symbol, row in rows(status).items()}


def _pack(kind: str, folder: Path) -> None:
    def neutral(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        return None if re.search(r"__pycache__|\.pyc$", member.name) else member

    with tarfile.open(data.archive(kind), "w:gz") as packed:
        for name in ("fleet.toml", "own_compatibility.py", "data"):
            packed.add(folder / name, name, filter=neutral)


def _empty(name: str) -> Path:
    folder = NEUTRAL / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    return folder


def _write(name: str, value: Any) -> None:
    text = json.dumps(value, indent=1, sort_keys=True)
    text = re.sub(r'\[\s+("[^"]*"(?:,\s+"[^"]*")*)\s+\]', _on_one_line, text)
    (RECORDED / f"{name}.json").write_text(text + "\n")


def _on_one_line(words: "re.Match[str]") -> str:
    joined = re.sub(r"\s+", " ", words[1])
    return f"[{joined}]"


if __name__ == "__main__":
    main()
