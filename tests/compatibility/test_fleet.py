"""A running fleet shows, answers and writes what one of 8b022be did."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.compatibility import documents
from tests.compatibility.fleets import NAME, drive, free_port, write_fleet
from tests.compatibility.surface import RunningFleet, difference, load

pytestmark = [pytest.mark.slow, pytest.mark.long]

SHAPES = {"status", "risk", "history", "events_document", "registry"}
SHAPES_BY_NAME = {"rest", "rpc"}
METRICS = {"metrics", "http_metrics"}
RECORDS = {"events", "engine_log", "orchestrator_log"}

OF_HTTP = {"http_metrics", "openapi", "rest"}
TOLD_WITH_HTTP = {"http_started"}
TOLD_SOMETIMES = {"member_back", "member_missing"}
"""Depends on whether a rule had prices enough when it was first asked."""


def test_a_running_fleet(home: Path, tmp_path: Path) -> None:
    """All of it in one test, because the fleet is the slow part; each difference is listed."""
    has_http = find_spec("hypercorn") is not None and find_spec("prometheus_client") is not None
    port = free_port() if has_http else None
    file = write_fleet(tmp_path / "fleet", port=port)
    with RunningFleet(home, file, NAME) as fleet:
        observed = drive(fleet, port or 0)
        found = documents.of_fleet(observed)
        codes = documents.exit_codes(observed)
        codes["SIGTERM"] = fleet.stop()
    found |= documents.of_files(observed.data_dir)
    found["exit_codes"] = codes
    recorded = load("fleet.json")
    if not has_http:
        for name in (*OF_HTTP, "metrics"):
            recorded.pop(name)
            found.pop(name, None)
    assert found.keys() == recorded.keys()
    differences = {
        name: lines
        for name in recorded
        if (lines := _differences(name, found[name], recorded[name], has_http=has_http))
    }
    assert not differences, json.dumps(differences, indent=1)


def _differences(name: str, now: Any, recorded: Any, *, has_http: bool) -> Any:
    if name in SHAPES:
        return difference(now, recorded)
    if name in SHAPES_BY_NAME:
        lines = {key: _of_answer(now.get(key), answer) for key, answer in recorded.items()}
        return {key: found for key, found in lines.items() if found}
    if name in METRICS:
        return _of_metrics(now, recorded)
    if name in RECORDS:
        return _of_records(now, recorded, has_http=has_http)
    if name == "openapi":
        return _unequal(_without_new_members(now, recorded), recorded)
    return [] if now == recorded else _unequal(now, recorded)


def _of_metrics(now: Any, recorded: Any) -> list[str]:
    """A counter that had counted nothing when it was recorded shows no labels there."""
    empty = {name for name, parts in recorded.items() if all("type" in part for part in parts)}
    return [
        *(f"new: {name}" for name in now.keys() - recorded.keys()),
        *(f"gone: {name}" for name in recorded.keys() - now.keys()),
        *(
            f"labels: {name} {now[name]}, recorded {recorded[name]}"
            for name in now.keys() & recorded.keys()
            if now[name] != recorded[name]
            and not (name in empty and set(recorded[name]) <= set(now[name]))
        ),
    ]


def _of_answer(now: Any, recorded: Any) -> list[str]:
    if "shape" in recorded:
        wrong = [] if now["code"] == recorded["code"] else [f"code: {now['code']}"]
        return wrong + difference(now["shape"], recorded["shape"])
    return ["gone"] if now is None else difference(now, recorded)


def _of_records(now: Any, recorded: Any, *, has_http: bool) -> list[str]:
    """Kinds that were written must be again, with the same keys; others must be known ones."""
    wanted = recorded.keys() - TOLD_SOMETIMES - (set() if has_http else TOLD_WITH_HTTP)
    known = load("kinds.json")["events"]
    return [
        *(f"gone: {kind}" for kind in wanted - now.keys()),
        *(f"new: {kind}" for kind in now if kind not in known),
        *(
            f"keys: {kind} {now[kind]}, recorded {recorded[kind]}"
            for kind in now.keys() & recorded.keys()
            if now[kind] != recorded[kind]
        ),
    ]


def _without_new_members(now: Any, recorded: Any) -> Any:
    """A schema without the members it has named since; the answers always had them."""
    if isinstance(now, dict) and isinstance(recorded, dict):
        kept = {key: _without_new_members(now[key], recorded.get(key)) for key in now}
        if isinstance(old := recorded.get("properties"), dict) and "properties" in now:
            kept["properties"] = {
                key: kept["properties"][key] for key in old.keys() & kept["properties"].keys()
            }
            kept["required"] = [key for key in now["required"] if key in old]
        return kept
    if isinstance(now, list) and isinstance(recorded, list) and len(now) == len(recorded):
        return [_without_new_members(*pair) for pair in zip(now, recorded, strict=True)]
    return now


def _unequal(now: Any, recorded: Any, path: str = "") -> list[str]:
    """Where two JSON values differ."""
    if isinstance(now, dict) and isinstance(recorded, dict):
        found = [f"new: {path}.{key}" for key in now.keys() - recorded.keys()]
        found += [f"gone: {path}.{key}" for key in recorded.keys() - now.keys()]
        for key in now.keys() & recorded.keys():
            found += _unequal(now[key], recorded[key], f"{path}.{key}")
        return found
    return [] if now == recorded else [f"{path}: {now!r}, recorded {recorded!r}"]
