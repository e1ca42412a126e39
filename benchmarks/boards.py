"""A fleet that is put together and does not run: for whoever reads it, not what it does."""

from pathlib import Path

from levitrio.app.assembly import Assembly
from levitrio.app.wiring.environment import Environment
from levitrio.config.loader import load
from levitrio.records.journal.journal import Journal
from levitrio.records.logs.event_log import EventLog

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
        environment=Environment(),
    )
    assembly.restore(history, {})
    return assembly
