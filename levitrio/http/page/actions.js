// Commands: confirmed in a dialog, sent with the token; the answer is shown as text.

import { byId, put } from "./format.js";

const KEY = "levitrio-token"; // in the session storage of this tab; gone when the tab is closed

export async function send(path, body) {
  const token = sessionStorage.getItem(KEY) ?? "";
  try {
    const answer = await fetch(path, {
      method: "POST",
      headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
      body: JSON.stringify(body ?? {}),
    });
    if (answer.status === 401) sessionStorage.removeItem(KEY);
    const document = await answer.json();
    if (answer.ok) return { ok: true, text: document.status ?? document.trading_state ?? "done" };
    return { ok: false, text: [document.error, document.hint].filter(Boolean).join(": ") };
  } catch {
    return { ok: false, text: "the fleet does not answer" };
  }
}

// Asks for confirmation, and for the token if this tab has none; resolves to true or false.
export function confirm(title, text, { danger = false } = {}) {
  const dialog = byId("ask"), token = byId("ask-token"), known = sessionStorage.getItem(KEY);
  put(byId("ask-title"), title);
  put(byId("ask-text"), text);
  byId("ask-token-label").hidden = Boolean(known);
  token.required = !known;
  token.value = "";
  byId("ask-yes").className = danger ? "button danger" : "button";
  dialog.showModal();
  (known ? byId("ask-yes") : token).focus();
  return new Promise((resolve) => {
    let confirmed = false;
    byId("ask-form").onsubmit = () => {
      if (!known) sessionStorage.setItem(KEY, token.value.trim());
      token.value = "";
      confirmed = true;
    };
    byId("ask-no").onclick = () => dialog.close();
    dialog.onclose = () => resolve(confirmed);
  });
}
