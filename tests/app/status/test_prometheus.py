"""Prometheus text, and that dashboard and alert rules ask for nothing that is not in it."""

import json
import re
from importlib.util import find_spec
from typing import Any, cast

import pytest

from levitrio.control.status_document import FleetStatus
from levitrio.supervision.lifecycle import State
from tests.paths import ROOT

pytestmark = pytest.mark.skipif(
    find_spec("prometheus_client") is None, reason="needs the extra http"
)

CONFIG = ROOT / "config"

ROW = {
    "symbol": "BTCUSDT",
    "status": "running",
    "wanted": "running",
    "incarnation": 1,
    "restarts": 0,
    "uptime_seconds": 5.0,
    "heartbeat_age": 0.5,
    "data_age": None,
    "error_count": 0,
    "position": "0.5",
    "unrealized_pnl": "-1.25",
    "daily_pnl": "0",
    "total_pnl": "0",
    "ticks": 7,
    "trade_count": 1,
    "denials": {"cooldown": 2},
}


def render(**changes: Any) -> str:
    from levitrio.app.status.prometheus import Figures, render

    status = {
        "fleet": 'de"mo',
        "trading_state": "halted",
        "equity": "10000.5",
        "daily_pnl": "-3",
        "drawdown": "0.01",
        **{state.value: 0 for state in State},
        "engines": [{**ROW, **changes}],
    }
    figures = Figures(
        status=cast(FleetStatus, status),
        incidents={("BTCUSDT", "crash"): 3},
        events={"fill": 9},
        inboxes={"BTCUSDT": {"queued": 4, "dropped": 1, "conflated": 2, "discarded": 0}},
        feed={"connections": 1, "reconnects": 0, "messages": 100},
        feed_dropped={"bad_price": 2},
        journal={
            "queued": 0,
            "commits": 5,
            "dropped": 0,
            "failed": True,
            "last_commit_seconds": 0.004,
        },
        snapshots={"generation": 3, "failing": False, "last_write_seconds": 0.01},
        lateness=([("0.01", 5.0), ("+Inf", 6.0)], 0.2),
        order_latency=([("0.01", 0.0), ("+Inf", 1.0)], 0.2),
    )
    return render(figures).decode()


def test_values_and_labels() -> None:
    """Counters count, gauges show, what is unknown is absent."""
    lines = render().splitlines()
    for line in (
        'levitrio_fleet_info{fleet="de\\"mo"} 1.0',
        "levitrio_equity 10000.5",
        'levitrio_trading_state{state="halted"} 1.0',
        'levitrio_trading_state{state="active"} 0.0',
        'levitrio_engine_unrealized_pnl{symbol="BTCUSDT"} -1.25',
        'levitrio_denials_total{reason="cooldown",symbol="BTCUSDT"} 2.0',
        'levitrio_incidents_total{cause="crash",symbol="BTCUSDT"} 3.0',
        'levitrio_inbox_depth{symbol="BTCUSDT"} 4.0',
        'levitrio_inbox_undelivered_total{reason="dropped",symbol="BTCUSDT"} 1.0',
        'levitrio_feed_dropped_total{reason="bad_price"} 2.0',
        "levitrio_journal_failed 1.0",
        'levitrio_loop_lateness_seconds_bucket{le="+Inf"} 6.0',
        "levitrio_order_latency_seconds_sum 0.2",
    ):
        assert line in lines
    assert not any(line.startswith("levitrio_engine_data_age_seconds{") for line in lines)


@pytest.mark.parametrize(
    ("status", "wanted", "up", "as_wanted"),
    [
        ("running", "running", 1, 1),
        ("paused", "paused", 1, 1),
        ("paused", "running", 1, 0),
        ("failed", "running", 0, 0),
        ("stopped", "stopped", 0, 1),
    ],
)
def test_up_and_as_wanted(status: str, wanted: str, up: int, as_wanted: int) -> None:
    """Whether the engine runs, and whether it is in the wanted state."""
    lines = render(status=status, wanted=wanted).splitlines()
    assert f'levitrio_engine_up{{symbol="BTCUSDT"}} {up}.0' in lines
    assert f'levitrio_engine_as_wanted{{symbol="BTCUSDT"}} {as_wanted}.0' in lines


@pytest.mark.parametrize("name", ["grafana-dashboard.json", "prometheus-rules.yml"])
def test_what_is_asked_for_is_there(name: str) -> None:
    """A renamed metric would leave a panel empty and an alert silent for ever."""
    there = {re.split(r"[{ ]", line)[0] for line in render(data_age=1.0).splitlines()}
    asked = set(re.findall(r"\b(?:levitrio|process)_[a-z0-9_]+", (CONFIG / name).read_text()))
    asked -= {"process_max_fds"} - there
    assert asked - {"levitrio_fleet"} <= there
    assert len(asked) > 10


def test_the_dashboard_is_json_with_a_grid() -> None:
    """Panels do not overlap, and each has a query."""
    panels = json.loads((CONFIG / "grafana-dashboard.json").read_text())["panels"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        taken |= cells
        assert panel["type"] == "row" or panel["targets"]
    assert max(x for x, _ in taken) == 23
