"""Tables, statements and layout upgrades of journal.db.

Every row has a `position`, one counter over all tables, so that all rows have one order; and a
`crc` over its table, position and values, because SQLite detects a broken tree but not a flipped
digit. Decimals are TEXT. A change of the layout is a new `VERSION` with a migration in
`UPGRADES`; existing columns never change their meaning.

The tables are not STRICT: some systems with Python 3.11 have an SQLite older than 3.37.
"""

import functools

APPLICATION_ID = 0x4C455649
"""'LEVI', in the header of the file: tells our journal from any other SQLite database."""

VERSION = 2

COLUMNS: dict[str, tuple[str, ...]] = {
    "intents": (
        "seq",
        "client_id",
        "symbol",
        "side",
        "type",
        "quantity",
        "price",
        "is_exit",
        "incarnation",
        "reason",
        "wall_ms",
        "market_ms",
    ),
    "outcomes": ("client_id", "status", "reason", "wall_ms"),
    "fills": (
        "client_id",
        "symbol",
        "side",
        "price",
        "quantity",
        "fee",
        "fee_asset",
        "time_ms",
        "venue",
        "trade_id",
    ),
    "incidents": (
        "symbol",
        "incarnation",
        "cause",
        "error",
        "traceback",
        "last_lines",
        "counts",
        "delay",
        "wall_ms",
    ),
    "wanted": ("symbol", "wanted", "wall_ms"),
    "failed": ("symbol", "reason", "wall_ms"),
    "halts": ("trading_state", "reason", "wall_ms"),
    "days": ("symbol", "day", "total_pnl", "wall_ms"),
    "commands": ("method", "params", "pid", "uid", "wall_ms"),
    "market_time": ("market_ms",),
    "equity": ("account", "day", "capital", "day_capital", "peak_equity", "wall_ms"),
}
"""By table, the columns between `position` and `crc`, in the order of a row's values."""

_INTEGERS = {
    "seq",
    "is_exit",
    "incarnation",
    "wall_ms",
    "market_ms",
    "time_ms",
    "trade_id",
    "counts",
    "pid",
    "uid",
}
_NULLABLE = {("intents", "price"), ("fills", "trade_id"), ("incidents", "delay")} | {
    ("failed", "reason")
}


def _column(table: str, name: str) -> str:
    kind = "INTEGER" if name in _INTEGERS else "REAL" if name == "delay" else "TEXT"
    return f"{name} {kind}" if (table, name) in _NULLABLE else f"{name} {kind} NOT NULL"


def _table(table: str, columns: tuple[str, ...]) -> str:
    body = ", ".join(_column(table, name) for name in columns)
    return f"CREATE TABLE {table} (position INTEGER PRIMARY KEY, {body}, crc INTEGER NOT NULL)"


_MARK = "token INTEGER NOT NULL DEFAULT 0"
"""Tells the orders of one journal from those of any other; 0 in journals of layout 1."""

STATEMENTS: tuple[str, ...] = (
    *(_table(table, columns) for table, columns in COLUMNS.items()),
    "CREATE UNIQUE INDEX intents_seq ON intents (seq)",
    "CREATE UNIQUE INDEX intents_client_id ON intents (client_id)",
    # A fill of a venue is applied once, however often it is reported, by stream or by query.
    "CREATE UNIQUE INDEX fills_once ON fills (venue, symbol, trade_id) WHERE trade_id IS NOT NULL",
    "CREATE INDEX incidents_symbol ON incidents (symbol, position)",
    # Written in every transaction: after a failed commit, `batch` tells whether it is in the file.
    f"CREATE TABLE progress (batch INTEGER NOT NULL, position INTEGER NOT NULL, {_MARK})",
    "INSERT INTO progress VALUES (0, 0, 0)",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {VERSION}",
)


UPGRADES: dict[int, tuple[str, ...]] = {
    1: (
        _table("equity", COLUMNS["equity"]),
        f"ALTER TABLE progress ADD COLUMN {_MARK}",
        "PRAGMA user_version = 2",
    ),
}
"""By layout, the statements that upgrade it to the next one, in one transaction."""

_SINCE = {"equity": 2}
"""By table, the layout that added it; tables not named are in all layouts."""


def tables(version: int) -> tuple[str, ...]:
    """Names of the tables in a layout; `COLUMNS` has their columns."""
    return tuple(table for table in COLUMNS if _SINCE.get(table, 1) <= version)


@functools.cache
def insert(table: str) -> str:
    """The INSERT statement of one row: position, values, crc."""
    columns = COLUMNS[table]
    marks = ", ".join("?" * (len(columns) + 2))
    names = ", ".join(columns)
    statement = f"INSERT INTO {table} (position, {names}, crc) VALUES ({marks})"  # noqa: S608  ours
    if table == "fills":
        return (
            f"{statement} ON CONFLICT (venue, symbol, trade_id)"
            " WHERE trade_id IS NOT NULL DO NOTHING"
        )
    return statement


def select(table: str) -> str:
    """The SELECT statement of all rows in journal order, with the columns of `insert`."""
    names = ", ".join(COLUMNS[table])
    return f"SELECT position, {names}, crc FROM {table} ORDER BY position"  # noqa: S608  ours
