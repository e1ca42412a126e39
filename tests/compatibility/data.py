"""Data folders that a fleet of 8b022be left behind, and what is found in them.

`stopped`: halted, then ended by SIGTERM. `killed`: active, ended by SIGKILL, with rows that are
only in the write-ahead log of the journal.
"""

import hashlib
import json
import tarfile
from pathlib import Path
from typing import Any

from tests.compatibility.surface import RECORDED, RunningFleet, levi, rows

KINDS = ("stopped", "killed")

LASTING = (
    "wanted",
    "status",
    "failed",
    "last_error",
    "position",
    "average_entry",
    "realized_pnl",
    "trade_count",
)
"""What the status says of an engine and does not change while the fleet is down."""


def archive(kind: str) -> Path:
    return RECORDED / f"data_{kind}.tar.gz"


def unpack(kind: str, folder: Path) -> Path:
    """The fleet.toml of a data folder, unpacked."""
    with tarfile.open(archive(kind)) as packed:
        packed.extractall(folder, filter="data")
    return folder / "fleet.toml"


def lasting(status: Any) -> dict[str, Any]:
    """What a status document says that outlives the process."""
    return {
        "trading_state": status["trading_state"],
        "trading_reason": status["trading_reason"],
        "engines": {
            symbol: {key: row[key] for key in LASTING} for symbol, row in rows(status).items()
        },
    }


def journal_of(file: Path, home: Path) -> dict[str, Any]:
    """What `levi journal` finds: the check, and a digest of each exported table."""
    check = levi("journal", "check", str(file), "--json", home=home)
    out = home / "export"
    levi("journal", "export", str(file), "--out", str(out), home=home)
    return {
        "check": json.loads(check.stdout),
        "tables": {
            path.stem: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(out.glob("*.csv"))
        },
    }


def opened(fleet: RunningFleet) -> dict[str, Any]:
    """What a fleet that was started on the data folder shows, once its engines are settled."""
    status = fleet.until(lambda it: it["starting"] == 0 and it["total"] > 0)
    return {
        **lasting(status),
        "history": fleet.document("history", "SOLUSDT"),
    }
