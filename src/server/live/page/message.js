// A message's whole way, found by its id or by the address that it goes to.

import { ask, byId, confirmed, el, notice, tag, when } from "./dom.js";

const ID = /^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$/i;
const WAITS = ["queued", "scheduled", "processing"];
const RETRIES = ["failed", "bounced", "expired", "cancelled", "suppressed", "unknown"];

let isAdmin = false;
let shown = null;                    // { id, status, at, text }

export function start(session) {
  isAdmin = session.is_admin;
  byId("search").addEventListener("submit", (event) => {
    event.preventDefault();
    const wanted = byId("search-for").value.trim();
    if (!wanted) return;
    const hash = ID.test(wanted) ? `#message=${wanted}` : `#to=${encodeURIComponent(wanted)}`;
    if (location.hash === hash) follow(true);
    else location.hash = hash;
  });
  addEventListener("hashchange", () => follow(true));
  follow(true);
}

/** Shows what the address bar asks for. */
function follow(moves) {
  const [what, value] = location.hash.slice(1).split("=");
  if (what === "message" && ID.test(value ?? "")) report(value, moves);
  else if (what === "to" && value) search(decodeURIComponent(value));
  else close();
}

function close() {
  shown = null;
  byId("message").hidden = true;
  byId("message").replaceChildren();
}

function top(title, ...more) {
  return el("div", { class: "top" }, el("h2", { id: "message-title", text: title }), ...more, el("span", { class: "space" }),
    el("button", { type: "button", text: "Close", onclick: () => { location.hash = ""; } }));
}

function open(moves, ...children) {
  const panel = byId("message");
  panel.replaceChildren(...children);
  panel.hidden = false;
  if (moves) {
    panel.scrollIntoView({ block: "nearest" });
    panel.focus({ preventScroll: true });
  }
}

async function search(address) {
  shown = null;
  try {
    const { messages, looked_back_to: back } = await ask(`/ui/messages?address=${encodeURIComponent(address)}`);
    const span = back ? `The newest 100,000 messages were searched, back to ${when(back)}.` : "All messages were searched.";
    const rows = messages.map((message) => el("tr", {},
      el("td", {}, el("a", { href: `#message=${message.message_id}`, class: "id", text: message.message_id })),
      el("td", { text: when(message.created_at) }), el("td", { text: message.channel }), el("td", { text: message.priority })));
    open(true, top(`Messages to ${address}`),
      el("p", { class: "empty", text: messages.length ? `The latest ${messages.length}. ${span}` : `None found. ${span}` }),
      messages.length
        ? el("div", { class: "scroll", tabindex: "0", role: "group", "aria-labelledby": "message-title" }, el("table", {},
          el("thead", {}, el("tr", {}, ...["Message", "Enqueued", "Channel", "Priority"].map((text) => el("th", { scope: "col", text })))),
          el("tbody", {}, ...rows)))
        : null);
  } catch (error) {
    open(true, top(`Messages to ${address}`), el("p", { class: "problem", text: error.message }));
  }
}

async function report(id, moves) {
  try {
    const answer = await ask(`/ui/messages/${id}`);
    if (location.hash !== `#message=${id}`) return;
    const was = moves ? null : shown;
    shown = { id, status: answer.message.status, at: Date.now(), text: JSON.stringify(answer) };
    if (was?.id === id && was.text === shown.text) return;   // what is the same is not taken from under a hand
    const focused = moves ? null : document.activeElement?.dataset?.action;
    open(moves, ...describe(id, answer));
    if (focused) byId("message").querySelector(`[data-action="${focused}"]`)?.focus();
  } catch (error) {
    shown = null;
    const text = error.status === 404 ? "No such message: the transaction that enqueued it did not commit, or its retention is over." : error.message;
    open(moves, top("Message"), el("p", { class: "id", text: id }), el("p", { class: "problem", text }));
  }
}

function describe(id, { message, timeline, explain }) {
  const facts = [
    ["To", message.recipient], ["Channel", message.channel], ["Type", `${message.message_type}, ${message.priority}`],
    ["Enqueued", when(message.created_at)], ["Due", when(message.due_at)], ["Expires", when(message.expires_at)],
    ["Attempts", message.attempts], ["Gateway", message.gateway], ["Provider's id", message.external_id],
    ["Reason", message.reason], ["Provider said", message.error], ["Tenant", message.tenant_id],
    ["Source", message.source_type && [message.source_type, message.source_id].filter((part) => part !== null).join(" ")],
    ["Trace", message.traceparent],
  ].filter(([, value]) => value !== null && value !== undefined && value !== "");
  const buttons = [];
  if (isAdmin && ["queued", "scheduled"].includes(message.status)) buttons.push(["cancel", "Cancel…"]);
  if (isAdmin && RETRIES.includes(message.status)) buttons.push(["retry", "Send again…"]);
  return [
    top("Message", tag(message.status),
      ...buttons.map(([action, text]) => el("button", { type: "button", text, "data-action": action, onclick: () => act(action, id) }))),
    el("p", { class: "id", text: id }),
    el("dl", { class: "facts-of" }, ...facts.map(([name, value]) =>
      el("div", {}, el("dt", { text: name }), el("dd", { text: value })))),
    el("h3", { text: "Why it is where it is" }),
    el("ol", { class: "gates" }, ...explain.map((gate) => el("li", {}, tag(gate.verdict), el("b", { text: gate.gate }),
      el("span", { text: gate.until ? `${gate.reason} (until ${when(gate.until)})` : gate.reason })))),
    el("h3", { text: "What happened" }),
    el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "What happened to the message" }, el("table", {},
      el("thead", {}, el("tr", {}, ...["Time", "Event", "Attempt", "Gateway", "Reason", "Provider said"].map((text) => el("th", { scope: "col", text })))),
      el("tbody", {}, ...timeline.map((event) => el("tr", {},
        el("td", { text: when(event.occurred_at) }), el("td", {}, tag(event.event_type)), el("td", { text: event.attempt ?? "" }),
        el("td", { text: event.gateway ?? "" }), el("td", { text: event.reason ?? "" }),
        el("td", { class: "wrap", text: [event.detail?.code, event.detail?.text].filter(Boolean).join(" ") })))))),
  ];
}

async function act(action, id) {
  const words = {
    cancel: { title: "Cancel this message?", text: "It is withdrawn if it still waits. Cancel or send: exactly one of them wins.", yes: "Cancel the message" },
    retry: { title: "Send this message again?", text: "It is queued with all its attempts. Expiry and suppression are checked anew.", yes: "Send it again" },
  };
  if (!(await confirmed(words[action]))) return;
  try {
    const { done } = await ask("/ui/actions", { action, message_id: id });
    const told = { cancel: ["The message was cancelled.", "It was too late: the message does not wait any more."], retry: ["The message is queued again.", "The message is in no state to be sent again."] };
    notice(told[action][done ? 0 : 1]);
    await report(id, false);
  } catch (error) {
    notice(`That did not work: ${error.message}`);
  }
}

/** Keeps the message that is shown up to date. */
export function refresh(events) {
  if (!shown || Date.now() - shown.at < 1500) return;
  const moved = events.some((event) => event.message_id === shown.id && Date.parse(event.occurred_at) > shown.at - 5000);
  if (moved || WAITS.includes(shown.status)) {
    shown.at = Date.now();
    report(shown.id, false);
  }
}
