"""Checks and exports a journal without opening it for a fleet.

Read-only, so that it also works while a fleet runs, and on a file that a fleet refuses.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs

from levitrio.errors import DamagedRecord, UsageError
from levitrio.records.journal.rows import checked
from levitrio.records.journal.sqlite import tables

MAX_FINDINGS = 100
"""One broken page makes thousands of findings; the first hundred show where."""


@attrs.frozen(kw_only=True)
class JournalCheck:
    """Result of a check."""

    rows: dict[str, int]
    """Number of undamaged rows by table."""
    findings: tuple[str, ...]
    """Damages found, at most 100; empty when there are none."""


def connect_readonly(path: Path) -> sqlite3.Connection:
    """Open a connection that cannot write.

    Raises:
        UsageError: there is no file, or it is not a journal of levitrio.
    """
    if not path.is_file():
        raise UsageError(f"{path}: expected a journal.db, found nothing there")
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    except sqlite3.Error as error:
        raise UsageError(f"{path}: expected a journal.db: {error}") from None
    try:
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    except sqlite3.Error as error:
        connection.close()
        raise UsageError(f"{path}: expected a journal.db: {error}") from None
    if application_id != tables.APPLICATION_ID:
        connection.close()
        raise UsageError(f"{path}: expected a journal of levitrio, it is another database")
    return connection


def check_journal(path: Path) -> JournalCheck:
    """Verify every page and every row of a journal; blocks.

    Raises:
        UsageError: there is no file, or it is not a journal of levitrio.
    """
    rows = dict.fromkeys(tables.COLUMNS, 0)
    findings: list[str] = []
    with closing(connect_readonly(path)) as connection:
        present = tables.tables(_layout(connection))
        try:
            for (verdict,) in connection.execute(f"PRAGMA integrity_check({MAX_FINDINGS})"):
                if verdict != "ok":
                    findings.append(str(verdict))
        except sqlite3.Error as error:
            findings.append(str(error))
        for table in present:
            try:
                for raw in connection.execute(tables.select(table)):
                    try:
                        checked(table, raw)
                    except DamagedRecord as error:
                        findings.append(str(error))
                    else:
                        rows[table] += 1
            except (sqlite3.Error, UnicodeDecodeError) as error:
                findings.append(f"table {table}: {error}")
    return JournalCheck(rows=rows, findings=tuple(findings[:MAX_FINDINGS]))


def table_rows(path: Path, table: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of one table, oldest first, as plain values; amounts stay decimal text.

    Raises:
        UsageError: there is no file, or it is not a journal of levitrio.
    """
    columns = ("position", *tables.COLUMNS[table])
    with closing(connect_readonly(path)) as connection:
        if table not in tables.tables(_layout(connection)):
            return
        for raw in connection.execute(tables.select(table)):
            yield dict(zip(columns, raw[:-1], strict=True))


def _layout(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)
