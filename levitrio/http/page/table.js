// The table of engines: sorted and filtered; only visible rows are in the DOM.

import { sparkline } from "./charts.js";
import { byId, count, duration, el, price, put, quantity, signed, svg, tone } from "./format.js";

const ROW = 38; // pixels, as in style.css
const BEYOND = 8; // rows drawn above and below the visible ones
const TRAIL = 60; // prices in a sparkline

const TROUBLE = ["failed", "stuck", "crashed", "stopping", "starting", "paused", "stopped", "running"];

// name, heading, class, sort key, whether the first click sorts downwards
const COLUMNS = [
  ["symbol", "Engine", "", (e) => e.symbol, false],
  ["status", "State", "", (e) => TROUBLE.indexOf(e.status), false],
  ["trail", "", "trail-cell", null, false],
  ["price", "Price", "num", (e) => Number(e.price ?? 0), true],
  ["position", "Position", "num less", (e) => Math.abs(Number(e.position)), true],
  ["daily_pnl", "Today", "num less", (e) => Number(e.daily_pnl), true],
  ["total_pnl", "Total", "num", (e) => Number(e.total_pnl), true],
  ["trade_count", "Trades", "num less", (e) => e.trade_count, true],
  ["ticks", "Ticks", "num least", (e) => e.ticks, true],
  ["data_age", "Data age", "num least", (e) => e.data_age ?? 1e9, true],
  ["restarts", "Restarts", "num less", (e) => e.restarts, true],
  ["uptime_seconds", "Uptime", "num least", (e) => e.uptime_seconds, true],
  ["last_error", "Last error", "error-cell least", (e) => e.last_error ?? "", true],
];

export class EngineTable {
  constructor(open) {
    this.open = open;
    this.engines = new Map();
    this.trails = new Map();
    this.sort = { name: "status", down: false };
    this.text = "";
    this.state = "";
    this.visible = [];
    this.pool = [];
    this.scroll = byId("table-scroll");
    this.body = byId("rows");
    this.above = el("tr", { "aria-hidden": "true", class: "spacer" }, el("td", { colspan: COLUMNS.length }));
    this.below = this.above.cloneNode(true);
    this.heads();
    this.scroll.addEventListener("scroll", () => this.draw(), { passive: true });
    this.scroll.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(this.scroll);
  }

  heads() {
    const row = byId("heads");
    for (const [name, text, style, key, down] of COLUMNS) {
      const head = el("th", { scope: "col", class: style, "data-name": name });
      if (key) {
        const button = el("button", { type: "button" }, text);
        button.onclick = () => {
          this.sort = this.sort.name === name ? { name, down: !this.sort.down } : { name, down };
          this.arrange();
        };
        head.append(button);
      } else head.append(el("span", { class: "sr" }, "Price trail"));
      row.append(head);
    }
  }

  take(rows, columns, gone, full) {
    if (full) this.engines.clear();
    for (const symbol of gone) this.engines.delete(symbol);
    for (const row of rows) {
      const engine = {};
      columns.forEach((name, i) => (engine[name] = row[i]));
      this.engines.set(engine.symbol, engine);
    }
    this.arrange();
  }

  // Called once a second: keeps the recent prices of each engine, in this page only.
  trail() {
    for (const engine of this.engines.values()) {
      if (engine.price === null) continue;
      let trail = this.trails.get(engine.symbol);
      if (!trail) this.trails.set(engine.symbol, (trail = []));
      trail.push(Number(engine.price));
      if (trail.length > TRAIL) trail.shift();
    }
  }

  filter(text, state) {
    this.text = text.trim().toLowerCase();
    this.state = state;
    this.scroll.scrollTop = 0;
    this.arrange();
  }

  matches(engine) {
    if (this.state && engine.status !== this.state) return false;
    if (!this.text) return true;
    const all = `${engine.symbol} ${engine.status} ${engine.last_error ?? ""}`.toLowerCase();
    return this.text.split(/\s+/).every((word) => all.includes(word.replace(/[/-]/g, "")) || all.includes(word));
  }

  arrange() {
    const [, , , key] = COLUMNS.find(([name]) => name === this.sort.name);
    const way = this.sort.down ? -1 : 1;
    this.visible = [...this.engines.values()].filter((engine) => this.matches(engine)).sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      return x < y ? -way : x > y ? way : a.symbol < b.symbol ? -1 : 1;
    });
    for (const head of byId("heads").children) {
      const mine = head.dataset.name === this.sort.name;
      const now = mine ? (this.sort.down ? "descending" : "ascending") : "none";
      if (head.getAttribute("aria-sort") !== now) head.setAttribute("aria-sort", now);
    }
    const total = this.engines.size, shown = this.visible.length;
    put(byId("shown"), shown === total ? `${total}` : `${shown} of ${total}`);
    byId("nothing").hidden = shown > 0 || total === 0;
    this.draw();
  }

  draw() {
    const first = Math.max(0, Math.floor(this.scroll.scrollTop / ROW) - BEYOND);
    const size = Math.ceil((this.scroll.clientHeight || 600) / ROW) + 2 * BEYOND;
    const slice = this.visible.slice(first, first + size);
    while (this.pool.length < slice.length) this.pool.push(this.make());
    const wanted = [this.above, ...this.pool.slice(0, slice.length).map((row) => row.node), this.below];
    if (this.body.children.length !== wanted.length) this.body.replaceChildren(...wanted);
    this.above.firstChild.style.height = `${first * ROW}px`;
    this.below.firstChild.style.height = `${Math.max(0, this.visible.length - first - slice.length) * ROW}px`;
    slice.forEach((engine, i) => this.fill(this.pool[i], engine));
  }

  make() {
    const cells = {};
    const node = el("tr");
    for (const [name, , style] of COLUMNS) {
      const cell = el(name === "symbol" ? "th" : "td", { class: style, scope: name === "symbol" && "row" });
      if (name === "symbol") cell.append((cells.button = el("button", { type: "button", class: "symbol" })));
      else if (name === "status") cell.append((cells.state = el("span", { class: "pill" })));
      else if (name === "trail") {
        const picture = svg("svg", { viewBox: "0 0 72 20", width: 72, height: 20, "aria-hidden": "true" });
        picture.append((cells.line = svg("polyline", { class: "spark", points: "" })));
        cell.append(picture);
      }
      cells[name] = cell;
      node.append(cell);
    }
    const row = { node, cells, symbol: "" };
    node.onclick = () => this.open(row.symbol);
    return row;
  }

  fill(row, engine) {
    const { cells } = row;
    if (row.symbol !== engine.symbol) {
      row.symbol = engine.symbol;
      row.node.dataset.symbol = engine.symbol;
      put(cells.button, engine.symbol);
    }
    const wait = engine.status === "crashed" && engine.next_restart_in ? ` ${engine.next_restart_in} s` : "";
    put(cells.state, engine.status + wait);
    if (cells.state.dataset.state !== engine.status) cells.state.dataset.state = engine.status;
    row.node.classList.toggle("not-wanted", engine.status !== engine.wanted);
    put(cells.price, price(engine.price));
    put(cells.position, quantity(engine.position));
    this.amount(cells.daily_pnl, engine.daily_pnl, "num less");
    this.amount(cells.total_pnl, engine.total_pnl, "num");
    put(cells.trade_count, count(engine.trade_count));
    put(cells.ticks, count(engine.ticks));
    put(cells.data_age, duration(engine.data_age));
    put(cells.restarts, engine.restarts ? String(engine.restarts) : "–");
    put(cells.uptime_seconds, duration(engine.uptime_seconds));
    put(cells.last_error, engine.last_error ?? "");
    cells.last_error.title = engine.last_error ?? "";
    sparkline(cells.line, this.trails.get(engine.symbol) ?? []);
  }

  amount(cell, value, style) {
    put(cell, signed(value));
    const now = `${style} ${tone(value)}`;
    if (cell.className !== now) cell.className = now;
  }

  // Arrow keys move between engines; Enter on the button opens one without code here.
  key(event) {
    const way = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const row = event.target.closest?.("tr[data-symbol]");
    if (!way || !row) return;
    const next = way > 0 ? row.nextElementSibling : row.previousElementSibling;
    const button = next?.querySelector("button.symbol");
    if (button) {
      event.preventDefault();
      button.focus();
    }
  }
}
