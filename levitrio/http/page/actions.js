// What changes the fleet: asked once more, sent with the token, answered in words.

import { byId, put } from "./format.js";

const KEY = "levitrio-token"; // of this tab; gone when it is closed

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

// Resolves to whether it was confirmed; asks for the token where this tab has none.
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
