"""The tables of journal.db.

Every row has a `position`, one counter over all tables, so that the journal is one ordered
story; and a `crc` over its table, position and values, because SQLite notices a broken tree
but not a flipped digit. Decimals are TEXT. A change of the layout is a new `VERSION` with a
migration in `UPGRADES`, never a silent reinterpretation.

STRICT tables would be nicer; systems with Python 3.11 and an SQLite older than 3.37 exist.
"""

import functools

APPLICATION_ID = 0x4C455649
"""'LEVI', in the header of the file: tells our journal from anybody else's database."""

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
"""Table -> its columns between `position` and `crc`, in the order a row's values have."""

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
"""Tells the orders of one journal from those of any other; 0 of journals older than tokens."""

STATEMENTS: tuple[str, ...] = (
    *(_table(table, columns) for table, columns in COLUMNS.items()),
    "CREATE UNIQUE INDEX intents_seq ON intents (seq)",
    "CREATE UNIQUE INDEX intents_client_id ON intents (client_id)",
    # A fill of a venue is applied once, however often and by whichever way it is reported.
    "CREATE UNIQUE INDEX fills_once ON fills (venue, symbol, trade_id) WHERE trade_id IS NOT NULL",
    "CREATE INDEX incidents_symbol ON incidents (symbol, position)",
    # Written in every transaction: after a commit that failed, `batch` tells whether it is in.
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
"""Layout -> what makes the next one of it, in one transaction."""

_SINCE = {"equity": 2}
"""Tables that older layouts lack -> the layout that brought them."""


def tables(version: int) -> tuple[str, ...]:
    """The tables of a layout, of which `COLUMNS` tells the columns."""
    return tuple(table for table in COLUMNS if _SINCE.get(table, 1) <= version)


@functools.cache
def insert(table: str) -> str:
    """The INSERT of one row: position, values, crc."""
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
    """Every row of a table in journal order, shaped as `insert` takes it."""
    names = ", ".join(COLUMNS[table])
    return f"SELECT position, {names}, crc FROM {table} ORDER BY position"  # noqa: S608  ours
