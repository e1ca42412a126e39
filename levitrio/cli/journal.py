"""`levi journal check|export`: verifies a journal, or writes its tables to files."""

import csv
import json
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from levitrio.cli import exit_codes, terminal
from levitrio.cli.help_examples import epilog
from levitrio.errors import UsageError
from levitrio.records.journal.check import check_journal, table_rows
from levitrio.records.journal.sqlite.tables import COLUMNS

Source = Annotated[
    Path, typer.Argument(metavar="FLEET.toml|journal.db", help="The fleet, or its journal.")
]


class Format(StrEnum):
    """File format of an export."""

    CSV = "csv"
    PARQUET = "parquet"


def register(app: typer.Typer) -> None:
    """Add `journal` and its commands."""
    journal = typer.Typer(help="Check or export a fleet's journal.", rich_markup_mode=None)
    journal.command("check", epilog=epilog("journal check"))(check)
    journal.command("export", epilog=epilog("journal export"))(export)
    app.add_typer(journal, name="journal")


def check(
    source: Source,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> int:
    """Read every page and row; exit code 1 for a damaged journal. The fleet may be running."""
    path = find_journal(source)
    found = check_journal(path)
    if as_json:
        document = {"ok": not found.findings, "rows": found.rows, "findings": found.findings}
        terminal.write(json.dumps(document))
    else:
        for finding in found.findings:
            terminal.write(f"{path}: {finding}")
        counts = ", ".join(f"{count} {table}" for table, count in found.rows.items() if count)
        terminal.write(f"{path}: {len(found.findings)} findings; sound: {counts or 'no rows'}")
        if found.findings:
            terminal.write(
                "keep a copy, then restore a backup; `levi journal export` saves what can be read"
            )
    return exit_codes.FAILED if found.findings else exit_codes.FINE


def export(
    source: Source,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="A folder; one file for each table.")
    ],
    kind: Annotated[Format, typer.Option("--format", help="File format.")] = Format.CSV,
) -> int:
    """Write every table to a file; amounts stay exact, as decimal text."""
    path = find_journal(source)
    out.mkdir(parents=True, exist_ok=True)
    for table, columns in COLUMNS.items():
        target = out / f"{table}.{kind.value}"
        rows = list(table_rows(path, table))
        if kind is Format.CSV:
            _write_csv(target, ("position", *columns), rows)
        else:
            _write_parquet(target, ("position", *columns), rows)
        terminal.write(f"{target}: {len(rows)} rows")
    return exit_codes.FINE


def find_journal(source: Path) -> Path:
    """The path of the journal that a fleet.toml names, or of `source` itself."""
    if source.suffix == ".toml":
        from levitrio.config.loader import load

        return load(source).fleet.journal
    return source


def _write_csv(target: Path, columns: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    with target.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def _write_parquet(target: Path, columns: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    try:
        pyarrow = import_module("pyarrow")
        parquet = import_module("pyarrow.parquet")
    except ModuleNotFoundError:
        raise UsageError(
            "--format parquet: expected pyarrow to be installed: pip install 'levitrio[parquet]'"
        ) from None
    table = pyarrow.table({name: [row[name] for row in rows] for name in columns})
    parquet.write_table(table, target)
