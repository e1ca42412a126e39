"""A fleet that is put together and does not run: for whoever reads it, not what it does."""

from pathlib import Path

from levitrio.app.assembly import Assembly
from levitrio.app.seams import Seams
from levitrio.fleet.reading import load
from levitrio.records.events import EventLog
from levitrio.records.journal import Journal

_HEAD = """
[fleet]
name = "bench"
data_dir = "data"
[simulator]
[defaults]
strategy = "ema_cross"
"""


def write_fleet(folder: Path, count: int) -> Path:
    """A fleet.toml of `count` engines on the built-in exchange."""
    path = folder / "fleet.toml"
    tables = "".join(f"[engines.S{number:04}USDT]\n" for number in range(count))
    path.write_text(_HEAD + tables, encoding="utf-8")
    (folder / "data").mkdir(exist_ok=True)
    return path


def assemble(folder: Path, count: int) -> Assembly:
    """`count` engines, restored from nothing, none of them started; inside of a trio run."""
    config = load(write_fleet(folder, count))
    journal = Journal(None)
    history = journal.open()
    assembly = Assembly(
        config,
        journal=journal,
        history=history,
        events=EventLog(wall_clock_ms=lambda: 0),
        seams=Seams(),
    )
    assembly.restore(history, {})
    return assembly
