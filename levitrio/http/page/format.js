// Formats numbers and times, and makes elements without parsing HTML.

export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

export function svg(tag, attributes = {}) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

export const byId = (id) => document.getElementById(id);

// Writes a text only if it changed: a thousand cells twice a second must not cost a layout.
export function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

const two = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });

export const money = (value) => two.format(Number(value));
export const count = (value) => (value < 100000 ? whole.format(value) : short.format(value));

export function signed(value) {
  const number = Number(value);
  if (Math.abs(number) < 0.005) return "0.00";
  return (number > 0 ? "+" : "−") + two.format(Math.abs(number));
}

export const tone = (value) => (Number(value) > 0.005 ? "up" : Number(value) < -0.005 ? "down" : "");

export function quantity(value) {
  const number = Number(value);
  if (number === 0) return "–";
  return number.toLocaleString("en-US", { maximumSignificantDigits: 6 });
}

export function price(value) {
  if (value === null || value === undefined) return "–";
  const number = Number(value);
  const digits = number >= 1000 ? 2 : number >= 1 ? 4 : 6;
  return number.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: digits });
}

export function percent(fraction) {
  const hundredths = Math.round(Number(fraction) * 10000);
  return `${hundredths < 0 ? "−" : ""}${(Math.abs(hundredths) / 100).toFixed(2)} %`;
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const s = Math.round(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

export const bytes = (value) =>
  value === null || value === undefined ? "–" : `${(value / 1048576).toFixed(0)} MiB`;

export const clock = (iso) => (iso ? iso.slice(11, 19) : "");
