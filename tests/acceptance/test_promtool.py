"""Prometheus' own tool reads what we serve and the rules we ship."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.pages import EXAMPLE, PageFleet
from tests.paths import ROOT

pytestmark = [
    pytest.mark.skipif(
        shutil.which("promtool") is None, reason="needs promtool (Debian: prometheus)"
    )
]


def promtool(*words: str, given: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    command = ["promtool", *words]
    return subprocess.run(command, input=given, capture_output=True, timeout=60, check=False)


def test_metrics(tmp_path: Path, home: Path) -> None:
    """`promtool check metrics` has nothing to say about a fleet that trades."""
    with PageFleet(home, tmp_path, EXAMPLE) as fleet:
        fleet.until(lambda: b"levitrio_engine_trades_total{" in fleet.get("/metrics")[1])
        status, text = fleet.get("/metrics")
    assert status == 200
    verdict = promtool("check", "metrics", given=text)
    assert (verdict.returncode, verdict.stdout, verdict.stderr) == (0, b"", b"")


def test_rules() -> None:
    """`promtool check rules` accepts every alert."""
    verdict = promtool("check", "rules", str(ROOT / "config" / "prometheus-rules.yml"))
    assert verdict.returncode == 0, verdict.stderr
    assert b"SUCCESS" in verdict.stdout
