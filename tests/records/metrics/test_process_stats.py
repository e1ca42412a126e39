"""The figures of this very process."""

import os
from pathlib import Path

import pytest

from levitrio.records.metrics import process_stats
from levitrio.records.metrics.process_stats import ProcessFigures


def test_figures_are_those_of_this_process() -> None:
    """More than a megabyte, one more descriptor after one was opened, at least a thread."""
    now = 100.0
    figures = ProcessFigures(lambda: now)
    before = figures.document()
    assert (before["memory_bytes"] or 0) > 1_000_000
    assert (before["threads"] or 0) >= 1
    assert before["cpu_percent"] == 0.0
    reading, writing = os.pipe()
    assert figures.document() is before  # asked within a second
    now = 102.0
    after = figures.document()
    os.close(reading)
    os.close(writing)
    assert after["descriptors"] == (before["descriptors"] or 0) + 2
    assert after["cpu_seconds"] >= before["cpu_seconds"]


def test_a_system_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be known is None."""
    for name in ("_STATM", "_DESCRIPTORS", "_TASKS"):
        monkeypatch.setattr(process_stats, name, Path("/nowhere"))
    document = ProcessFigures(lambda: 0.0).document()
    assert (document["memory_bytes"], document["descriptors"], document["threads"]) == (None,) * 3
