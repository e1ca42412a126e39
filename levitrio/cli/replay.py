"""`levi replay`: runs a fleet over recorded data in virtual time, once or as a sweep."""

import json
import os
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import attrs
import typer

from levitrio.cli import terminal
from levitrio.cli.help_examples import epilog
from levitrio.cli.progress import Progress
from levitrio.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=epilog("replay"))(replay)


def replay(
    file: Annotated[Path, typer.Argument(metavar="FLEET.toml", help="The fleet to replay.")],
    recording: Annotated[
        list[str],
        typer.Option(
            metavar="[SYMBOL=]FILE", help="A recording or a candle file (CSV); may be repeated."
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page with charts (extra [charts]).")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override any key of the file."),
    ] = None,
    sweep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=A,B,C", help="Try each value; several options make a grid of them."
        ),
    ] = None,
    compare: Annotated[
        Path | None,
        typer.Option(
            metavar="JOURNAL", help="journal.db of a fleet that ran on the same data, stopped."
        ),
    ] = None,
    spread: Annotated[
        str,
        typer.Option(metavar="X", help="Spread where the data has no quotes, as a fraction."),
    ] = "0.0002",
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Seed of the restart delays.")] = 1,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, max=256, metavar="N", help="Processes of a sweep; default: one per core."
        ),
    ] = None,
) -> int:
    """Replay recorded data through a fleet, on paper.

    The same engines, gateway and risk as in `levi run`, in virtual time.
    """
    from levitrio.cli.import_path import add_import_path

    add_import_path(file)
    job = _Job(file, tuple(recording), tuple(set_ or ()), _fraction(spread), seed)
    if sweep:
        if html is not None or compare is not None:
            raise UsageError("--sweep: expected no --html and no --compare with it")
        return _sweep(job, sweep, as_json=as_json, workers=workers or os.cpu_count() or 1)
    report = _replay(job, compare)
    if html is not None:
        from levitrio.replay.report.html import page

        _write(html, page(report))
    if as_json:
        terminal.write(json.dumps(report, indent=2))
    else:
        from levitrio.replay.report.text import render as render_report

        terminal.write(render_report(report))
    return 0


@attrs.frozen
class _Job:
    file: Path
    recordings: tuple[str, ...]
    settings: tuple[str, ...]
    spread: Decimal
    seed: int

    def config(self, more: Sequence[str] = ()) -> Any:
        """The fleet with the overrides applied; raises ConfigError or UsageError."""
        from levitrio.config.loader import load
        from levitrio.config.overrides import parse_override
        from levitrio.strategies import catalog

        overrides = [parse_override(text) for text in (*self.settings, *more)]
        return load(self.file, check_strategy=catalog.check, overrides=overrides)


def _replay(job: _Job, journal: Path | None) -> dict[str, Any]:
    from levitrio.replay.data.open_tape import open_tape
    from levitrio.replay.report.compare import comparison
    from levitrio.replay.report.report import document
    from levitrio.replay.run import Options, Replay

    config = job.config()
    recorded = None if journal is None else _fills_in(journal)
    tape = open_tape(config, job.recordings, spread=job.spread, on_refused=_refused)
    bar = Progress("replaying")
    played = Replay(config, tape, Options(seed=job.seed, on_progress=bar.show))
    try:
        played.run()
    finally:
        bar.end()
    report = document(played, recording=job.recordings, overrides=job.settings)
    if recorded is not None:
        report["comparison"] = comparison(
            played.replay_journal.fills, recorded, journal=str(journal)
        )
    return report


def _sweep(job: _Job, sweeps: Sequence[str], *, as_json: bool, workers: int) -> int:
    from levitrio.replay.data.open_tape import open_tape
    from levitrio.replay.report.text import sweep_table
    from levitrio.replay.run import Options
    from levitrio.replay.sweep import Point, grid, sweep

    # Every combination is checked before the first one is replayed.
    points = [Point(settings, job.config(settings)) for settings in grid(sweeps)]
    open_tape(points[0].config, job.recordings, spread=job.spread, on_refused=_refused)
    bar = Progress(f"replaying {len(points)} combinations")
    bar.show(0.0)
    try:
        rows = sweep(
            points,
            job.recordings,
            options=Options(seed=job.seed),
            spread=job.spread,
            workers=workers,
            on_done=lambda count: bar.show(count / len(points)),
        )
    finally:
        bar.end()
    if as_json:
        head = {"schema": 1, "recording": job.recordings, "set": job.settings}
        terminal.write(json.dumps({**head, "points": rows}, indent=2))
    else:
        terminal.write("\n".join(sweep_table(rows)))
    return 0


def _fills_in(path: Path) -> Any:
    from levitrio.records.journal.folding import fold
    from levitrio.records.journal.sqlite.journal_file import JournalFile

    if not path.is_file():
        raise UsageError(f"--compare {path}: expected a journal.db, found none")
    journal = JournalFile.open(path, may_create=False)
    try:
        return fold(journal.entries()).fills
    finally:
        journal.close()


def _fraction(text: str) -> Decimal:
    try:
        value = Decimal(text)
        if 0 <= value <= 1:
            return value
    except ArithmeticError:
        pass
    raise UsageError(f"--spread: expected a fraction from 0 to 1, got {text[:40]!r}")


def _refused(problem: str) -> None:
    terminal.complain(problem)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--html {path}: cannot be written: {error.strerror}") from None
