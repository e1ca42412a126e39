"""Replays of both recordings of ../shared/data/hftbacktest, reduced to digests and figures.

Four fleets: `averages` with built-in strategies; `coins` with a seeded strategy that crashes,
entries that rest and orders that arrive late; `losses` with entries that never take, denials,
and a loss limit that flattens; `voices` with ensembles of rules.

A report knows neither the machine's time nor its speed. One thing is replaced before it is
digested: the folder of the strategies, which stands in the place of a crash.
"""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from tests.compatibility.surface import HERE, levi

RECORDINGS = HERE.resolve().parents[2] / "shared" / "data" / "hftbacktest"
FILES = ("btcusdt_20240808.gz", "ethusdt_20240808.gz")
FLEETS = ("averages", "coins", "losses", "voices")


def replayed(name: str, folder: Path) -> dict[str, Any]:
    """The replay of a fleet: figures, and the SHA-256 of the report and of its lists."""
    shutil.copy(HERE / "own_compatibility.py", folder)
    file = Path(shutil.copy(HERE / f"{name}.toml", folder))
    words = [word for recording in FILES for word in ("--recording", recording)]
    done = levi("replay", str(file), *words, "--seed", "42", "--json", home=folder, cwd=RECORDINGS)
    assert done.returncode == 0, done.stderr
    text = done.stdout.replace(str(folder), "FOLDER")
    report = json.loads(text)
    return {
        "crashes": len(report["crashes"]),
        "parts": {
            key: _digest(json.dumps(value)) if isinstance(value, list | dict) else value
            for key, value in report.items()
        },
        "whole": _digest(text),
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
