// The page: follows /events and shows the fleet, at most half a second old.

import { confirm, send } from "./actions.js";
import { drawEquity, ready } from "./charts.js";
import { Detail } from "./detail.js";
import { byId, bytes, clock, el, money, percent, put, signed, tone } from "./format.js";
import { EngineTable } from "./table.js";

// The members of a row in the order of COLUMNS in http/live_updates.py.
const COLUMNS = [
  "symbol", "status", "wanted", "incarnation", "restarts", "next_restart_in", "uptime_seconds", "price",
  "position", "daily_pnl", "total_pnl", "trade_count", "ticks", "data_age", "last_error",
];
const STATES = ["running", "paused", "starting", "stopping", "stopped", "crashed", "failed", "stuck"];
const INCIDENTS = new Set([
  "crashed", "failed", "stuck", "blocked", "convicted", "breaker", "journal_trouble", "snapshot_trouble",
  "trading_state", "stale", "suspended", "feed_disconnected", "feed_gap", "feed_lost", "rejected", "http_failed",
]);
const QUIET = new Set(["starting", "stopping"]); // the next state follows at once
const LINES = 300;
const SILENT = 4000; // ms without an update: eight of them are missing

const detail = new Detail();
const table = new EngineTable((symbol) => detail.open(symbol));
let updatedAt = performance.now();
let fleet = null;
let process = 0;

function show(head) {
  fleet = head;
  const live = head.mode === "live";
  put(byId("mode"), live ? `LIVE · ${head.orders_to}` : head.mode);
  byId("mode").dataset.mode = head.mode;
  document.body.classList.toggle("real", live);
  document.title = `${live ? "LIVE · " : ""}${head.failed + head.stuck ? "⚠ " : ""}${head.fleet} · levitrio`;
  put(byId("fleet"), head.fleet);
  const trading = byId("trading");
  put(trading, head.trading_state);
  trading.dataset.state = head.trading_state;
  trading.title = head.trading_reason || "Trading state";
  const halted = head.trading_state !== "active";
  put(byId("halt"), halted ? "Trade again" : "Halt trading");
  byId("halt").classList.toggle("danger", !halted);
  put(byId("equity"), money(head.equity));
  put(byId("daily"), signed(head.daily_pnl));
  byId("daily").className = `big ${tone(head.daily_pnl)}`;
  const start = Number(head.equity) - Number(head.daily_pnl);
  put(byId("daily-part"), start ? `${percent(Number(head.daily_pnl) / start)} since 00:00 UTC` : "since 00:00 UTC");
  put(byId("drawdown"), percent(head.drawdown));
  byId("drawdown").className = `big ${Number(head.drawdown) > 0.0005 ? "down" : ""}`;
  put(byId("up"), String(head.running + head.paused));
  put(byId("total"), ` / ${head.total} up`);
  const { cpu_percent: cpu, memory_bytes: memory, descriptors, threads } = head.process;
  put(byId("cpu"), `${cpu.toFixed(0)} %`);
  put(byId("process"), `${bytes(memory)}, ${descriptors ?? "–"} descriptors, ${threads ?? "–"} threads`);
  put(byId("market-time"), head.market_time ? `market time ${clock(head.market_time)} UTC` : "");
  const notice = byId("notice");
  notice.hidden = !halted;
  if (halted) put(notice, `Trading is ${head.trading_state}${head.trading_reason ? `: ${head.trading_reason}` : ""}`);
  chips(head);
}

function chips(head) {
  const list = byId("states"), bar = byId("bar");
  if (!list.childElementCount) {
    for (const state of STATES) {
      const button = el("button", { type: "button", "data-state": state, title: `Show only ${state}` });
      button.onclick = () => {
        byId("state-filter").value = byId("state-filter").value === state ? "" : state;
        filter();
      };
      list.append(el("li", {}, button));
      bar.append(el("span", { "data-state": state }));
      byId("state-filter").append(el("option", { value: state }, state));
    }
  }
  STATES.forEach((state, i) => {
    list.children[i].hidden = !head[state];
    put(list.children[i].firstChild, `${head[state]} ${state}`);
    bar.children[i].hidden = !head[state];
    bar.children[i].style.flexGrow = String(head[state]);
  });
}

function addEvents({ missed, events }) {
  const feed = byId("feed"), fresh = [];
  if (missed) fresh.push(el("li", { class: "missed", "data-kind": "missed" }, `${missed} earlier lines are not shown`));
  for (const event of events) {
    if (QUIET.has(event.kind)) continue;
    const line = el("li", { "data-kind": event.kind, class: INCIDENTS.has(event.kind) ? "incident" : "" },
      el("time", { datetime: event.ts }, clock(event.ts)));
    if (event.engine) {
      const button = el("button", { type: "button", class: "symbol" }, event.engine);
      button.onclick = () => detail.open(event.engine);
      line.append(button);
    }
    line.append(el("span", { class: "kind" }, event.kind.replaceAll("_", " ")), el("span", { class: "text" }, event.text));
    fresh.push(line);
  }
  feed.prepend(...fresh.reverse());
  while (feed.childElementCount > LINES) feed.lastElementChild.remove();
}

function listen() {
  const source = new EventSource("/events");
  source.addEventListener("status", (message) => {
    updatedAt = performance.now();
    const picture = JSON.parse(message.data);
    if (picture.fleet.pid !== process) {
      process = picture.fleet.pid; // a new run of the fleet numbers its events from 1
      byId("feed").replaceChildren();
    }
    show(picture.fleet);
    table.take(picture.rows, COLUMNS, picture.gone, picture.full);
    link(true);
  });
  source.addEventListener("events", (message) => addEvents(JSON.parse(message.data)));
  source.onerror = () => {
    link(false);
    // A browser stops reconnecting when the answer is no event stream, as from a proxy whose fleet is down.
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
  };
}

function link(alive) {
  const node = byId("link"), text = alive ? "connected" : "no connection, retrying";
  put(node, text);
  node.dataset.alive = String(alive);
  document.body.classList.toggle("away", !alive);
}

async function curve() {
  try {
    const answer = await fetch("/risk/equity");
    await ready;
    if (answer.ok) drawEquity(byId("equity-chart"), await answer.json());
  } catch {
    // The fleet does not answer; the head of the page says so.
  }
}

function filter() {
  table.filter(byId("filter").value, byId("state-filter").value);
}

byId("filter").addEventListener("input", filter);
byId("state-filter").addEventListener("change", filter);
byId("only-incidents").addEventListener("change", (event) => {
  byId("feed").classList.toggle("only-incidents", event.target.checked);
});
byId("halt").addEventListener("click", async () => {
  const halted = fleet && fleet.trading_state !== "active";
  const text = halted
    ? "Engines may send orders again."
    : "No new order is sent, open orders are cancelled, positions are kept. The halt lasts until an operator ends it.";
  if (!(await confirm(halted ? "Trade again?" : "Halt trading?", text, { danger: !halted }))) return;
  const { ok, text: answer } = await send(`/risk/${halted ? "unhalt" : "halt"}`, halted ? {} : { reason: "from the page" });
  if (!ok) {
    byId("notice").hidden = false;
    put(byId("notice"), answer);
  }
});
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select, textarea, dialog");
  if (event.key === "/" && !typing) {
    event.preventDefault();
    byId("filter").focus();
  } else if (event.key === "Escape" && event.target === byId("filter")) {
    byId("filter").value = "";
    filter();
  }
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", curve);
addEventListener("resize", () => requestAnimationFrame(curve));
setInterval(() => table.trail(), 1000);
setInterval(curve, 4000);
setInterval(() => performance.now() - updatedAt > SILENT && link(false), 1000);

listen();
curve();
const wanted = location.hash.slice(1).toUpperCase();
if (/^[A-Z0-9]{2,32}$/.test(wanted)) detail.open(wanted);
