"""The report as text."""

from collections.abc import Mapping, Sequence
from typing import Any

TRADES_SHOWN = 20
"""The newest ones; `--json` has them all."""


def render(report: Mapping[str, Any]) -> str:
    """A page for a terminal, at most 100 columns wide, without the order and fill lists."""
    lines = [
        (
            f"{report['fleet']}: {report['start'] or '-'} to {report['end'] or '-'}"
            f" ({report['days']:g} days of market time)"
        ),
        *(f"  {name}" for name in report["recording"]),
        *(f"  --set {text}" for text in report["set"]),
        "",
        *_summary(report),
        "",
        *_symbols(report["symbols"]),
    ]
    for crash in report["crashes"]:
        lines += ["", f"crash of {crash['symbol']} at {crash['time']}: {crash['error']}"]
        lines.append(f"    {crash['place']}")
    if report["trade_list"]:
        lines += ["", *_trades(report["trade_list"])]
    if comparison := report.get("comparison"):
        lines += ["", *_comparison(comparison)]
    if report["notes"]:
        lines += ["", *(f"note: {note}" for note in report["notes"])]
    return "\n".join(lines)


def sweep_table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line for each combination, in the order of the grid."""
    header = ("SETTINGS", "RETURN", "FEES", "DRAWDOWN", "SHARPE", "SORTINO", "ORDERS", "TRADES")
    cells = [
        (
            " ".join(row["set"]),
            percent(row["return"]),
            money(row["fees"]),
            share(row["max_drawdown"]),
            figure(row["sharpe"]),
            figure(row["sortino"]),
            str(row["orders"]),
            str(row["trades"]),
        )
        for row in rows
    ]
    hint = "note: the best of many is partly luck: try it on data that took no part in the choice"
    return [*columns(header, cells), "", hint]


def percent(value: float | None) -> str:
    """A fraction as people read it."""
    return "-" if value is None else f"{value:+.2%}"


def figure(value: float | None) -> str:
    """A ratio with two decimals."""
    return "-" if value is None else f"{value:.2f}"


def columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table; the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (header, *rows)
    ]


def _summary(report: Mapping[str, Any]) -> list[str]:
    asset = report["quote_asset"]
    ratios = report["ratios"]
    trades = report["trades"]
    held = report["buy_and_hold"]
    rows = [
        ("equity", f"{money(report['equity'])} {asset}, began with {money(report['cash'])}"),
        ("profit", f"{money(report['pnl'])} {asset}, {percent(report['return'])}"),
        ("buy and hold", f"{percent(held['return'])}: {held['rule']}"),
        ("fees", f"{money(report['fees'])} {asset}"),
        ("max drawdown", f"{report['max_drawdown']:.2%} of the peak"),
        ("exposure", f"{report['mean_exposure']:.2%} of equity on average"),
        ("Sharpe", f"{figure(report['sharpe'])} = {ratios['sharpe']}"),
        ("Sortino", f"{figure(report['sortino'])} = {ratios['sortino']}"),
        ("", f"{ratios['returns']};"),
        (
            "",
            (
                f"{ratios['count']} returns of {_interval(ratios['interval_seconds'])}, "
                f"{ratios['annualisation']}"
            ),
        ),
        (
            "orders",
            f"{report['orders']} orders, {report['fills']} fills, {report['signals']} signals",
        ),
        (
            "trades",
            (
                f"{trades['count']} closed, {trades['won']} won, {trades['lost']} lost"
                f" ({share(trades['win_rate'])}), profit factor {figure(trades['profit_factor'])}"
            ),
        ),
    ]
    if report["trading_state"] != "active":
        rows.append(("trading", f"{report['trading_state']}: {report['trading_reason']}"))
    return [f"{name:<14}{text}".rstrip() for name, text in rows]


def _symbols(symbols: Sequence[Mapping[str, Any]]) -> list[str]:
    header = (
        "SYMBOL", "PNL", "FEES", "HOLD", "IN MARKET", "TRADES", "WON", "ORDERS", "SIGNALS",
        "DENIED", "CRASHES",
    )  # fmt: skip
    rows = [
        (
            row["symbol"],
            money(row["pnl"]),
            money(row["fees"]),
            percent(row["buy_and_hold"]),
            share(row["time_in_market"]),
            str(row["trades"]["count"]),
            share(row["trades"]["win_rate"]),
            str(row["orders"]),
            str(row["signals"]),
            str(sum(row["denials"].values())),
            str(row["crashes"]),
        )
        for row in symbols
    ]
    return columns(header, rows)


def _trades(trips: Sequence[Mapping[str, Any]]) -> list[str]:
    header = ("CLOSED", "SYMBOL", "SIDE", "QUANTITY", "ENTRY", "EXIT", "FEES", "PNL", "RETURN")
    shown = trips[-TRADES_SHOWN:]
    rows = [
        (
            trip["closed"],
            trip["symbol"],
            trip["side"],
            trip["quantity"],
            trip["entry"],
            trip["exit"],
            money(trip["fees"]),
            money(trip["pnl"]),
            percent(trip["return"]),
        )
        for trip in shown
    ]
    left_out = len(trips) - len(shown)
    head = [f"the last {len(shown)} trades; --json lists all {len(trips)}"] if left_out else []
    return [*head, *columns(header, rows)]


def _comparison(comparison: Mapping[str, Any]) -> list[str]:
    price, late = comparison["price_difference_bp"], comparison["delay_seconds"]
    return [
        (
            f"compared with {comparison['journal']}: {comparison['matched']} fills in both, "
            f"{comparison['only_there']} only there, {comparison['only_here']} only here"
        ),
        (
            f"  fills there were {_signed(price['mean'])} bp dearer on average"
            f" (median {_signed(price['median'])}, worst {_signed(price['worst'])});"
            " more is worse for us"
        ),
        f"  and {_signed(late['mean'])} s later on average (latest {_signed(late['worst'])} s)",
        f"  which cost {comparison['cost']} in all",
    ]


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2f}"


def share(value: float | None) -> str:
    """A part of a whole, without a sign."""
    return "-" if value is None else f"{value:.1%}"


def money(text: str) -> str:
    """Two decimals, or four digits that count of what is smaller."""
    value = float(text)
    return f"{value:,.2f}" if abs(value) >= 1 or not value else f"{value:.4g}"


def _interval(seconds: int) -> str:
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if not seconds % length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
