"""The report as one HTML page that needs nothing else: no network, no second file.

The charts are plotly's, whose script is written into the page from the installed package. It is
the extra `[charts]`.
"""

import html
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from levitrio.errors import UsageError
from levitrio.replay.text import render

_STYLE = """
body { font: 14px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem;
       padding: 0 1rem; color: #1b1b1b; background: #fff; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
pre { overflow-x: auto; background: #f5f5f4; padding: 1rem; border-radius: 6px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%; }
th, td { padding: .2rem .6rem; text-align: right; border-bottom: 1px solid #e5e5e5; }
th:first-child, td:first-child { text-align: left; }
.scroll { overflow: auto; max-height: 40rem; }
"""


def page(report: Mapping[str, Any]) -> str:
    """The whole page. Raises UsageError when plotly is not installed."""
    charts = _charts(report["curve"])
    trades = _table(report["trade_list"])
    title = html.escape(f"{report['fleet']}: {report['start']} to {report['end']}")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{title}</h1>{charts}"
        f"<h2>Report</h2><pre>{html.escape(render({**report, 'trade_list': []}))}</pre>"
        f'<h2>Trades</h2><div class="scroll">{trades}</div></body></html>\n'
    )


def drawdowns(equity: Sequence[float]) -> list[float]:
    """At each point, how far below the highest so far, as a fraction (0 or negative)."""
    peak = 0.0
    falls = []
    for value in equity:
        peak = max(peak, value)
        falls.append(value / peak - 1.0 if peak > 0 else 0.0)
    return falls


def _charts(curve: Mapping[str, Any]) -> str:
    try:
        from plotly import graph_objects
        from plotly.subplots import make_subplots
    except ImportError:
        raise UsageError(
            "--html: expected plotly for the charts: pip install 'levitrio[charts]'"
        ) from None
    times = [datetime.fromtimestamp(ms / 1000, UTC).isoformat() for ms in curve["time_ms"]]
    figure = make_subplots(
        rows=3,
        cols=1,
        shared_xaxes=True,
        vertical_spacing=0.04,
        row_heights=[0.5, 0.25, 0.25],
        subplot_titles=("Equity", "Drawdown", "Exposure"),
    )
    series = (
        ("Equity", curve["equity"], "#1d4ed8", None),
        ("Drawdown", drawdowns(curve["equity"]), "#b91c1c", "tozeroy"),
        ("Exposure", curve["exposure"], "#52525b", "tozeroy"),
    )
    for row, (name, values, colour, fill) in enumerate(series, start=1):
        line = graph_objects.Scatter(
            x=times, y=values, name=name, line={"color": colour, "width": 1.5}, fill=fill
        )
        figure.add_trace(line, row=row, col=1)
    figure.update_yaxes(tickformat=".1%", row=2, col=1)
    figure.update_yaxes(tickformat=".0%", row=3, col=1)
    figure.update_layout(
        height=720, showlegend=False, template="plotly_white", margin={"l": 60, "r": 20, "t": 40}
    )
    # A fixed id: the default is random, and the same replay must give the same page.
    text: str = figure.to_html(full_html=False, include_plotlyjs=True, div_id="charts")
    return text


def _table(trips: Sequence[Mapping[str, Any]]) -> str:
    if not trips:
        return "<p>None.</p>"
    head = "".join(f"<th>{html.escape(name)}</th>" for name in trips[0])
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in trip.values()) + "</tr>"
        for trip in trips
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
