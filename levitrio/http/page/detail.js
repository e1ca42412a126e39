// The panel of one engine: price with fills, position, incidents, and its commands.

import { confirm, send } from "./actions.js";
import { drawPrice, ready } from "./charts.js";
import { byId, clock, count, duration, el, price, put, quantity, signed } from "./format.js";

const PERIOD = 2000; // ms; the fleet records a price every two seconds

const VERBS = {
  restart: "The engine starts anew as its next incarnation. Its position is kept.",
  stop: "Its orders are cancelled, its position is kept, and it reads no more data.",
  start: "The engine starts.",
  pause: "The engine keeps reading data and opens no new position.",
  resume: "The engine may open positions again.",
  reset: "Its crashes are forgotten, and the engine starts.",
};
const OFFERED = {
  running: ["restart", "pause", "stop"],
  paused: ["resume", "restart", "stop"],
  stopped: ["start"],
  failed: ["reset"],
  stuck: ["restart"],
};

export class Detail {
  constructor() {
    this.dialog = byId("detail");
    this.symbol = null;
    this.offered = "";
    this.facts = new Map();
    byId("detail-close").onclick = () => this.dialog.close();
    this.dialog.onclose = () => this.leave();
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close(); // a click beside the panel
    });
  }

  open(symbol) {
    this.symbol = symbol;
    this.offered = "";
    put(byId("detail-symbol"), symbol);
    byId("detail-answer").hidden = true;
    byId("incidents").replaceChildren();
    if (!this.dialog.open) this.dialog.showModal();
    history.replaceState(null, "", `#${symbol}`);
    clearInterval(this.timer);
    this.timer = setInterval(() => this.refresh(), PERIOD);
    this.refresh();
  }

  leave() {
    this.symbol = null;
    clearInterval(this.timer);
    history.replaceState(null, "", location.pathname);
  }

  async get(path) {
    const answer = await fetch(path);
    return answer.ok ? answer.json() : null;
  }

  async refresh() {
    const symbol = this.symbol;
    try {
      const [engine, curve, incidents] = await Promise.all([
        this.get(`/engines/status/${symbol}`),
        this.get(`/engines/prices/${symbol}`),
        this.get(`/engines/incidents/${symbol}`),
      ]);
      await ready;
      if (symbol !== this.symbol) return; // the panel shows another engine by now
      if (engine) this.show(engine);
      if (curve) drawPrice(byId("price-chart"), curve);
      if (incidents) this.list(incidents.incidents);
    } catch {
      // The fleet does not answer; the head of the page says so.
    }
  }

  show(engine) {
    const state = byId("detail-state");
    put(state, engine.status);
    state.dataset.state = engine.status;
    this.offer(engine);
    const rows = [
      ["Strategy", engine.strategy],
      ["Wanted", engine.wanted],
      ["Incarnation", String(engine.incarnation)],
      ["Restarts", String(engine.restarts)],
      ["Next restart", engine.next_restart_in === null ? "–" : duration(engine.next_restart_in)],
      ["Uptime", duration(engine.uptime_seconds)],
      ["Price", price(engine.price)],
      ["Position", quantity(engine.position)],
      ["Average entry", Number(engine.average_entry) ? price(engine.average_entry) : "–"],
      ["Unrealized", signed(engine.unrealized_pnl)],
      ["Today", signed(engine.daily_pnl)],
      ["Total", signed(engine.total_pnl)],
      ["Trades", count(engine.trade_count)],
      ["Ticks", count(engine.ticks)],
      ["Ticks dropped", count(engine.ticks_dropped)],
      ["Waiting in the inbox", count(engine.queued)],
      ["Data age", duration(engine.data_age)],
      ["Heartbeat", engine.heartbeat_age === null ? "–" : `${engine.heartbeat_age.toFixed(1)} s ago`],
      ["Denied", Object.entries(engine.denials).map(([why, n]) => `${why} ${n}`).join(", ") || "–"],
      ["Last error", engine.last_error ?? "–"],
    ];
    for (const [name, value] of rows) {
      let node = this.facts.get(name);
      if (!node) {
        node = el("dd");
        this.facts.set(name, node);
        byId("facts").append(el("div", {}, el("dt", {}, name), node));
      }
      put(node, value);
    }
  }

  offer(engine) {
    const verbs = OFFERED[engine.status] ?? ["stop"];
    if (this.offered === verbs.join()) return;
    this.offered = verbs.join();
    byId("detail-actions").replaceChildren(...verbs.map((verb) => {
      const button = el("button", { type: "button", class: verb === "stop" ? "button danger" : "button", "data-verb": verb }, verb);
      button.onclick = () => this.act(verb);
      return button;
    }));
  }

  async act(verb) {
    const symbol = this.symbol;
    const title = `${verb[0].toUpperCase()}${verb.slice(1)} ${symbol}?`;
    if (!(await confirm(title, VERBS[verb], { danger: verb === "stop" }))) return;
    const { ok, text } = await send(`/engines/${verb}/${symbol}`);
    const answer = byId("detail-answer");
    answer.hidden = false;
    answer.dataset.tone = ok ? "good" : "bad";
    put(answer, `${symbol}: ${text}`);
    if (this.symbol) this.refresh();
  }

  list(incidents) {
    const host = byId("incidents"), mark = `${incidents.length} ${incidents[0]?.time ?? ""}`;
    if (host.dataset.mark === mark && host.childElementCount) return;
    host.dataset.mark = mark;
    if (!incidents.length) {
      host.replaceChildren(el("p", { class: "sub" }, "No incidents."));
      return;
    }
    host.replaceChildren(...incidents.map((incident) => el("details", {},
      el("summary", {},
        el("span", { class: "when" }, `${incident.time.slice(0, 10)} ${clock(incident.time)}`),
        el("span", { class: "cause" }, incident.cause), el("span", {}, incident.error)),
      el("pre", { tabindex: "0" }, incident.traceback))));
  }
}

