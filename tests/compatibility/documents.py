"""What is recorded of a running fleet: one function makes it for the record and for the test."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.compatibility.fleets import Observed
from tests.compatibility.surface import (
    fetch,
    help_of,
    journal_layout,
    keys_by_kind,
    levi,
    log_records,
    metrics_in,
    shape,
    without_prose,
)


def of_fleet(observed: Observed) -> dict[str, Any]:
    """Documents of a driven fleet, by the name of the file they are recorded in."""
    fleet = observed.fleet
    batch = fleet.document("events", "--since", "0")
    documents = {
        "status": shape(*observed.statuses),
        "risk": shape(fleet.document("risk")),
        "history": shape(fleet.document("history", "SOLUSDT")),
        "metrics": metrics_in(fleet.ctl("metrics").stdout),
        "openrpc": without_prose(fleet.call("rpc.discover")["result"]),
        "rpc": {
            "ping": shape(fleet.call("ping")),
            "status": shape(fleet.call("status")),
            "history": shape(fleet.call("history", symbol="SOLUSDT")),
            "risk": shape(fleet.call("risk")),
            "events.subscribe": shape({**fleet.call("events.subscribe")["result"], "events": []}),
            "metrics": shape(fleet.call("metrics")),
            "pause": shape(fleet.call("pause", symbols=["BNBUSDT"])),
            "unknown method": _refusal(fleet.call("no.such.method")),
            "unknown symbol": _refusal(fleet.call("history", symbol="NONEUSDT")),
            "wrong params": _refusal(fleet.call("history", symbol=5)),
            "refused": _refusal(fleet.call("start", symbols=["SOLUSDT"])),
        },
        "events_document": shape({**batch, "events": []}),
        "events": keys_by_kind(_events(observed), "kind"),
        "home": _files(fleet.home),
    }
    return documents | of_http(observed.port) if observed.port else documents


def of_http(port: int) -> dict[str, Any]:
    """What the REST calls answer; the metrics are those of `levi ctl metrics`."""
    address = f"http://127.0.0.1:{port}"
    return {
        "http_metrics": metrics_in(fetch(f"{address}/metrics")),
        "openapi": without_prose(json.loads(fetch(f"{address}/openapi.json"))),
        "rest": {
            path: shape(json.loads(fetch(address + path)))
            for path in (
                "/engines/status",
                "/engines/status/BTCUSDT",
                "/engines/incidents/SOLUSDT",
                "/engines/prices/BTCUSDT",
                "/risk",
                "/risk/equity",
                "/healthz",
            )
        },
    }


def _events(observed: Observed) -> list[Any]:
    """Every event of the run, oldest first."""
    found: list[Any] = []
    since = 0
    while batch := observed.fleet.document("events", "--since", str(since)):
        if not batch["events"]:
            break
        found += batch["events"]
        since = batch["next_since"]
    return found


def _files(folder: Path) -> list[str]:
    """The names of files and sockets under a folder, with `DAY` for a date."""
    return sorted(
        {
            path.relative_to(folder).as_posix().replace(_day(path.name), "DAY")
            for path in folder.rglob("*")
            if not path.is_dir()
        }
    )


def _refusal(answer: Any) -> Any:
    return {"code": answer["error"]["code"], "shape": shape(answer)}


def of_files(data_dir: Path) -> dict[str, Any]:
    """What a fleet that has ended left behind."""
    return {
        "files": _files(data_dir),
        "journal": journal_layout(data_dir / "journal.db"),
        "registry": shape(json.loads((data_dir / "registry.json").read_text())),
        "engine_log": keys_by_kind(log_records(data_dir, "engine-"), "event"),
        "orchestrator_log": keys_by_kind(log_records(data_dir, "orchestrator-"), "event"),
    }


def _day(name: str) -> str:
    digits = name.rpartition("-")[2].partition(".")[0]
    return digits if digits.isdigit() else "\0"


LINES = (
    "ctl status BTCUSDT",
    "ctl status --json",
    "ctl status --json NONEUSDT",
    "ctl restart SOLUSDT",
    "ctl history NONEUSDT --json",
    "ctl risk --no-such-option",
    "ctl --fleet none risk --json",
    "ctl --fleet none status --json",
    "check fleet.toml",
    "check bad.toml",
    "run fleet.toml",
    "init .",
    "journal check fleet.toml",
    "journal check broken.db",
    "replay fleet.toml --recording no-such-file.gz",
    "no-such-command",
)
"""Command lines whose exit codes are recorded, given while the fleet runs."""


def exit_codes(observed: Observed) -> dict[str, int]:
    """Exit code of each of `LINES`, in the folder of the fleet."""
    fleet, folder = observed.fleet, observed.fleet.file.parent
    (folder / "bad.toml").write_text("[fleet]\ngrcae = 1\n[engines.BTCUSDT]\n")
    (folder / "broken.db").write_bytes(b"no database" * 100)

    def run(line: str) -> int:
        return levi(*line.split(), home=fleet.home, cwd=folder).returncode

    with ThreadPoolExecutor(4) as pool:
        return dict(zip(LINES, pool.map(run, LINES), strict=True))


def of_commands(home: Path) -> dict[str, Any]:
    """Every command of `levi` with its arguments and options, by its words."""
    found: dict[str, Any] = {}
    wave = [""]
    with ThreadPoolExecutor(4) as pool:
        while wave:
            pages = pool.map(lambda words: help_of(*words.split(), home=home), wave)
            found |= dict(zip(wave, pages, strict=True))
            wave = [
                f"{words} {name}".strip() for words in wave for name in found[words]["commands"]
            ]
    return found
