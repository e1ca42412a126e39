"""The report as one HTML page that needs nothing else: no network, no second file.

The charts are plotly's, whose script is written into the page from the installed package. It is
the extra `[charts]`. Light or dark as the reader's system is; the charts' colours do for both.
"""

import html
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from levitrio.errors import UsageError
from levitrio.replay.report.text import figure, money, percent, render, share

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1b1f; --soft: #5f6068; --line: #dddde3;
        --card: #f5f5f7; --good: #15803d; --bad: #b91c1c; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8ec; --soft: #a0a1ab; --line: #35363d; --card: #1f2025;
          --good: #4ade80; --bad: #f87171; }
  body { background: #141518; } }
body { font: 14px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 72rem; padding: 1rem;
       color: var(--ink); }
h1 { font-size: 1.4rem; margin: .5rem 0 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p { color: var(--soft); margin: .2rem 0; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); gap: .6rem; }
dl div { background: var(--card); border-radius: 8px; padding: .6rem .8rem; }
dt { color: var(--soft); font-size: .8rem; }
dd { margin: 0; font-size: 1.15rem; font-variant-numeric: tabular-nums; }
.good { color: var(--good); } .bad { color: var(--bad); }
pre { overflow-x: auto; background: var(--card); padding: 1rem; border-radius: 8px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%;
        font-size: .85rem; }
th, td { padding: .25rem .5rem; text-align: right; white-space: nowrap;
         border-bottom: 1px solid var(--line); }
th { position: sticky; top: 0; background: var(--card); }
th:first-child, td:first-child { text-align: left; }
.scroll { overflow: auto; max-height: 40rem; }
"""

_GREY = "#808590"
"""Of words and lines of the charts: readable on white and on black."""


def page(report: Mapping[str, Any]) -> str:
    """The whole page. Raises UsageError when plotly is not installed."""
    title = html.escape(f"{report['fleet']}: replay")
    span = html.escape(
        f"{report['start'] or '-'} to {report['end'] or '-'}, {report['days']:g} days"
    )
    ratios = report["ratios"]
    formulas = [
        f"Sharpe = {ratios['sharpe']}; Sortino = {ratios['sortino']}.",
        f"{ratios['returns']}; {ratios['count']:,} of {ratios['interval_seconds']:,} s each;",
        f"{ratios['annualisation']}.",
        "Drawdown: how far equity is below the highest before it.",
        "Exposure: gross notional as a fraction of equity.",
        f"Buy and hold: {report['buy_and_hold']['rule']}.",
    ]
    text = render({**report, "trade_list": []})
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{title}</h1><p>{span}</p><dl>{_cards(report)}</dl>"
        f"{_charts(report['curve'], report['quote_asset'])}"
        + "".join(f"<p>{html.escape(line)}</p>" for line in formulas)
        + f'<h2>Trades</h2><div class="scroll" tabindex="0">{_table(report["trade_list"])}</div>'
        f'<h2>Report</h2><pre tabindex="0">{html.escape(text)}</pre></body></html>\n'
    )


def drawdowns(equity: Sequence[float]) -> list[float]:
    """At each point, how far below the highest so far, as a fraction (0 or negative)."""
    peak = 0.0
    falls = []
    for value in equity:
        peak = max(peak, value)
        falls.append(value / peak - 1.0 if peak > 0 else 0.0)
    return falls


def _cards(report: Mapping[str, Any]) -> str:
    """The figures one looks for first."""
    asset, trades = report["quote_asset"], report["trades"]
    cards = (
        ("Equity", f"{money(report['equity'])} {asset}", None),
        ("Return", percent(report["return"]), report["return"]),
        ("Buy and hold", percent(report["buy_and_hold"]["return"]), None),
        ("Max drawdown", f"{report['max_drawdown']:.2%}", None),
        ("Sharpe", figure(report["sharpe"]), None),
        ("Sortino", figure(report["sortino"]), None),
        ("Fees", f"{money(report['fees'])} {asset}", None),
        ("Orders", f"{report['orders']:,}", None),
        ("Trades won", f"{share(trades['win_rate'])} of {trades['count']:,}", None),
        ("Mean exposure", f"{report['mean_exposure']:.1%}", None),
    )
    return "".join(
        f"<div><dt>{name}</dt><dd{_colour(value)}>{html.escape(text)}</dd></div>"
        for name, text, value in cards
    )


def _colour(value: float | None) -> str:
    return f' class="{"good" if value > 0 else "bad"}"' if value else ""


def _charts(curve: Mapping[str, Any], asset: str) -> str:
    try:
        from plotly import graph_objects
        from plotly.subplots import make_subplots
    except ImportError:
        raise UsageError(
            "--html: expected plotly for the charts: pip install 'levitrio[charts]'"
        ) from None
    times = [datetime.fromtimestamp(ms / 1000, UTC).isoformat() for ms in curve["time_ms"]]
    charts = make_subplots(
        rows=3,
        cols=1,
        shared_xaxes=True,
        vertical_spacing=0.06,
        row_heights=[0.5, 0.25, 0.25],
        subplot_titles=(f"Equity ({asset})", "Drawdown", "Exposure"),
    )
    # Grey gridlines and words over no background: the page's own shows through, light or dark.
    series = (
        ("Equity", curve["equity"], "#3b82f6", None, "linear"),
        ("Drawdown", drawdowns(curve["equity"]), "#ef4444", "tozeroy", "linear"),
        ("Exposure", curve["exposure"], _GREY, "tozeroy", "hv"),
    )
    for row, (name, values, colour, fill, shape) in enumerate(series, start=1):
        line = {"color": colour, "width": 1.5, "shape": shape}
        trace = graph_objects.Scatter(x=times, y=values, name=name, line=line, fill=fill)
        charts.add_trace(trace, row=row, col=1)
    grid = {"gridcolor": "rgba(128,133,144,0.25)", "zerolinecolor": "rgba(128,133,144,0.5)"}
    charts.update_xaxes(**grid)
    charts.update_yaxes(automargin=True, nticks=6, **grid)
    charts.update_yaxes(tickformat=",", row=1, col=1)
    charts.update_yaxes(tickformat=".1%", row=2, col=1)
    charts.update_yaxes(tickformat=".0%", row=3, col=1)
    charts.update_layout(
        height=640,
        showlegend=False,
        hovermode="x unified",
        template="none",
        font={"color": _GREY},
        hoverlabel={"bgcolor": "#26272d", "font": {"color": "#ffffff"}},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": _GREY},
        margin={"l": 50, "r": 10, "t": 60, "b": 40},
    )
    # A fixed id: the default is random, and the same replay must give the same page.
    text: str = charts.to_html(
        full_html=False,
        include_plotlyjs=True,
        div_id="charts",
        config={"displaylogo": False, "responsive": True},
    )
    return text


def _table(trips: Sequence[Mapping[str, Any]]) -> str:
    if not trips:
        return "<p>None.</p>"
    head = "".join(f"<th>{html.escape(name)}</th>" for name in trips[0])
    body = "".join(
        "<tr>" + "".join(_cell(name, value) for name, value in trip.items()) + "</tr>"
        for trip in trips
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(name: str, value: object) -> str:
    if name == "return" and isinstance(value, float):
        return f"<td{_colour(value)}>{percent(value)}</td>"
    return f"<td>{html.escape(str(value))}</td>"
