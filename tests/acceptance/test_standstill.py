"""A process that was stopped for a while does not trade on what waited meanwhile."""

import json
import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.acceptance.disks import OWN, trades_of
from tests.acceptance.test_canary import odd_venue, private
from tests.e2e.process import FleetProcess, all_running

KEY = "K7hQ2mZp9XcV4bNw8RtY1uJs6LfD3gAe"
SECRET = "S3xW8vBn5KqT2yHj7MdR9pGc4ZuF6aLe"

STOPPED = 8.0
"""Seconds; the fleet calls more than five a standstill."""

FLEET = """
[fleet]
name = "still"
[feed]
url = "{url}"
[broker]
kind = "simulator"
url = "{url}/ws-api/v3"
key_file = "{key_file}"
[risk]
max_daily_loss = 1.0
max_drawdown = 1.0
max_orders_per_minute = 100000
[defaults]
strategy = "own_disks:Flip"
[engines.BTCUSDT]
[engines.ETHUSDT]
"""


def events_of(fleet: FleetProcess) -> list[dict[str, Any]]:
    answer = json.loads(fleet.ctl("events", "--json", "--since", "0").stdout)
    events = answer["events"]
    assert isinstance(events, list)
    return events


def test_the_venue_is_asked_first(tmp_path: Path, home: Path) -> None:
    """After SIGSTOP and SIGCONT: told, compared with the venue, and only then the next trade."""
    (tmp_path / "own_disks.py").write_text(OWN)
    venue_file = private(tmp_path / "venue", "\n".join(map(json.dumps, (KEY, SECRET))))
    key_file = private(tmp_path / "own.key", f"{KEY}\n{SECRET}\n")
    file = tmp_path / "fleet.toml"
    with odd_venue(venue_file, "echoes") as url:
        file.write_text(FLEET.format(url=url, key_file=key_file))
        with FleetProcess(home, file) as fleet:
            fleet.until(lambda status: trades_of(status) > 4)
            fleet.send(signal.SIGSTOP)
            time.sleep(STOPPED)
            continued = datetime.now(UTC).isoformat(timespec="milliseconds")
            fleet.send(signal.SIGCONT)
            status = fleet.until(lambda _: "stood_still" in fleet.output)
            before = trades_of(status)
            fleet.until(lambda status: trades_of(status) > before + 4)
            assert all_running(fleet.status())
            assert {row["incarnation"] for row in fleet.rows().values()} == {1}
            after = [it for it in events_of(fleet) if it["ts"] > continued]
            kinds = [event["kind"] for event in after]
            assert "fill" in kinds
            assert "stood_still" in kinds[: kinds.index("fill")], kinds
            assert "Traceback" not in fleet.output
