// Charts: drawn by plotly if the fleet has it installed, else as SVG.

import { money, price, svg } from "./format.js";

let plotly = null;

export const ready = new Promise((resolve) => {
  const script = document.createElement("script");
  script.src = "/charts/plotly.js"; // empty where plotly is not installed
  script.onload = script.onerror = () => {
    plotly = window.Plotly ?? null;
    document.documentElement.dataset.charts = plotly ? "plotly" : "svg";
    resolve();
  };
  document.head.append(script);
});

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Text without a zone: plotly draws it unchanged, so all times on the page are UTC.
const dates = (times) => times.map((ms) => new Date(ms).toISOString().slice(0, 23));

function layout(host, more) {
  const nticks = Math.max(2, Math.floor(host.clientWidth / 130));
  const axis = {
    gridcolor: color("--line"), linecolor: color("--line"), zeroline: false, fixedrange: true,
    tickfont: { color: color("--muted"), size: 11 }, tickangle: 0,
  };
  return {
    margin: { l: 14, r: 74, t: 6, b: 38 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "inherit", color: color("--text"), size: 12 }, showlegend: false, hovermode: "x unified",
    hoverlabel: { bgcolor: color("--card"), bordercolor: color("--line"), font: { color: color("--text") } },
    xaxis: { ...axis, showgrid: false, nticks }, yaxis: { ...axis, side: "right", nticks: 5 },
    ...more(axis, nticks),
  };
}

const CONFIG = { displayModeBar: false, responsive: true, doubleClick: false, scrollZoom: false };

export function drawEquity(host, curve) {
  if (curve.time.length < 2) return wait(host);
  const loss = curve.drawdown.map((fraction) => -100 * fraction);
  if (!plotly) {
    return drawLines(host, [
      { values: curve.equity, color: color("--accent"), label: money, share: 0.68 },
      { values: loss, color: color("--down"), label: (v) => `${v.toFixed(2)} %`, share: 0.32, fill: true },
    ], curve.time);
  }
  clear(host, "plotly");
  const x = dates(curve.time);
  plotly.react(host, [
    { x, y: curve.equity, type: "scatter", mode: "lines", name: "equity", hovertemplate: "%{y:,.2f}",
      line: { color: color("--accent"), width: 2 } },
    { x, y: loss, yaxis: "y2", type: "scatter", mode: "lines", name: "drawdown", fill: "tozeroy",
      hovertemplate: "%{y:.2f} %", line: { color: color("--down"), width: 1 }, fillcolor: color("--down-soft") },
  ], layout(host, (axis, nticks) => ({
    yaxis: { ...axis, side: "right", domain: [0.34, 1], nticks: 5, tickformat: ",.2f" },
    yaxis2: { ...axis, side: "right", domain: [0, 0.26], nticks: 3, tickformat: ".3~f", ticksuffix: " %", rangemode: "tozero" },
    xaxis: { ...axis, anchor: "y2", showgrid: false, nticks },
  })), CONFIG);
}

export function drawPrice(host, curve) {
  if (curve.time.length < 2) return wait(host);
  const from = curve.time[0];
  const fills = curve.fills.filter((fill) => fill.time >= from);
  if (!plotly) {
    return drawLines(host, [
      { values: curve.price, color: color("--accent"), label: price, share: 1, marks: fills },
    ], curve.time);
  }
  clear(host, "plotly");
  const marks = (side, symbol, tint) => {
    const some = fills.filter((fill) => fill.side === side);
    return {
      x: dates(some.map((fill) => fill.time)), y: some.map((fill) => fill.price), type: "scatter",
      mode: "markers", name: side, customdata: some.map((fill) => fill.quantity),
      hovertemplate: "%{customdata} at %{y}",
      marker: { symbol, size: 11, color: tint, line: { color: color("--card"), width: 1.5 } },
    };
  };
  plotly.react(host, [
    { x: dates(curve.time), y: curve.price, type: "scatter", mode: "lines", name: "price",
      line: { color: color("--accent"), width: 1.8 } },
    marks("buy", "triangle-up", color("--up")), marks("sell", "triangle-down", color("--down")),
  ], layout(host, () => ({})), CONFIG);
}

function clear(host, kind) {
  if (host.dataset.kind === kind) return;
  host.replaceChildren();
  host.dataset.kind = kind;
}

function wait(host) {
  if (plotly && host.dataset.kind === "plotly") plotly.purge(host);
  clear(host, "wait");
  const text = document.createElement("p");
  text.className = "sub empty";
  text.textContent = "The curve begins in a few seconds.";
  host.replaceChildren(text);
}

// Panels above each other with one time axis; the extremes of each are labelled.
function drawLines(host, panels, times) {
  clear(host, "svg");
  const width = Math.max(200, host.clientWidth - 28), height = Math.max(120, host.clientHeight);
  const right = 78, bottom = 18;
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height });
  const [first, last] = [times[0], times[times.length - 1]];
  const x = (ms) => ((ms - first) / Math.max(1, last - first)) * (width - right);
  const gap = panels.length > 1 ? 22 : 8; // so that the labels of two panels do not overlap
  let top = 4;
  for (const panel of panels) {
    const tall = (height - bottom) * panel.share - gap;
    const low = Math.min(...panel.values), high = Math.max(...panel.values);
    const y = (value) => top + tall - ((value - low) / (high - low || 1)) * tall;
    for (const edge of [low, high]) {
      root.append(svg("line", { x1: 0, x2: width - right, y1: y(edge), y2: y(edge), class: "grid" }));
      const text = svg("text", { x: width - right + 6, y: y(edge) + 4, class: "axis" });
      text.textContent = panel.label(edge);
      root.append(text);
      if (low === high) break;
    }
    const points = panel.values.map((value, i) => `${x(times[i]).toFixed(1)},${y(value).toFixed(1)}`);
    if (panel.fill) {
      const area = `0,${y(high)} ${points.join(" ")} ${x(last)},${y(high)}`;
      root.append(svg("polygon", { points: area, fill: panel.color, "fill-opacity": 0.15 }));
    }
    root.append(svg("polyline", { points: points.join(" "), fill: "none", stroke: panel.color, "stroke-width": 1.8, "stroke-linejoin": "round" }));
    for (const fill of panel.marks ?? []) {
      const px = x(fill.time), py = Math.min(top + tall, Math.max(top, y(fill.price)));
      const way = fill.side === "buy" ? 1 : -1;
      const tip = `${px},${py - 6 * way} ${px - 6},${py + 5 * way} ${px + 6},${py + 5 * way}`;
      root.append(svg("polygon", { points: tip, fill: color(fill.side === "buy" ? "--up" : "--down"), stroke: color("--card") }));
    }
    top += tall + gap;
  }
  for (const [ms, anchor] of [[first, "start"], [last, "end"]]) {
    const text = svg("text", { x: x(ms), y: height - 4, class: "axis", "text-anchor": anchor });
    text.textContent = new Date(ms).toISOString().slice(11, 19);
    root.append(text);
  }
  host.replaceChildren(root);
}

export function sparkline(node, values) {
  if (values.length < 2) return node.setAttribute("points", "");
  const low = Math.min(...values), span = Math.max(...values) - low || 1;
  const step = 72 / (values.length - 1);
  node.setAttribute("points", values.map((v, i) => `${(i * step).toFixed(1)},${(18 - ((v - low) / span) * 16).toFixed(1)}`).join(" "));
}

