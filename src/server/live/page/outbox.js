// The outbox of development: mails as they would look, text messages, push.

import { ask, byId, el, keyed, say } from "./dom.js";

let chosen = null;
let latest = null;

/** When a UUIDv7 was made: its first 48 bits. */
const madeAt = (id) => new Date(Number.parseInt(id.replaceAll("-", "").slice(0, 12), 16)).toLocaleTimeString("en-GB");

export function start() {
  byId("outbox-panel").hidden = false;
  say(byId("outbox-message"), "");
  load();
}

/** Looks again when something was sent. */
export function refresh(events) {
  const sent = events.find((event) => event.event_type === "sent");
  if (sent && sent.occurred_at !== latest) {
    latest = sent.occurred_at;
    load();
  }
}

async function load() {
  let messages;
  try {
    ({ messages } = await ask("/ui/outbox"));
  } catch {
    return;                          // the next event asks again
  }
  keyed(byId("outbox-list"), messages, (message) => message.message_id, entry, (node, message) => {
    node.firstElementChild.setAttribute("aria-current", String(message.message_id === chosen));
  });
  if (messages.length === 0) {
    keyed(byId("outbox-list"), ["none"], () => "none", () => el("li", { class: "empty", text: "Nothing yet. Enqueue a message, and it appears here." }));
  } else if (!chosen) {
    show(messages[0].message_id);
  }
}

function entry(message) {
  const text = message.subject ?? message.preview ?? "";
  return el("li", {}, el("button", { type: "button", onclick: () => show(message.message_id) },
    el("span", { class: "line" }, el("span", { class: "to", text: message.to }), el("span", { class: "at", text: madeAt(message.message_id) })),
    el("span", { class: "subject", text: `${message.channel}: ${text}` }),
    el("span", { class: "preview", text: message.subject ? message.preview ?? "" : "" })));
}

async function show(id) {
  chosen = id;
  for (const node of byId("outbox-list").children) {
    node.firstElementChild?.setAttribute("aria-current", String(node.dataset.key === id));
  }
  const panel = byId("outbox-message");
  try {
    const message = await ask(`/ui/outbox/${id}`);
    if (chosen !== id) return;
    panel.replaceChildren(...describe(id, message));
  } catch (error) {
    panel.replaceChildren(el("p", { class: "problem", text: error.message }));
  }
}

function describe(id, message) {
  const facts = [["From", message.from], ["To", message.to], ["Cc", message.cc],
    ["Attached", (message.attachments ?? []).map((part) => `${part.name} (${part.size_bytes} bytes)`).join(", ")]];
  const parts = [
    el("h3", { text: message.subject ?? message.channel }),
    el("dl", { class: "facts-of" }, ...facts.filter(([, value]) => value).map(([name, value]) =>
      el("div", {}, el("dt", { text: name }), el("dd", { text: value }))),
    el("div", {}, el("dt", { text: "Message" }), el("dd", {}, el("a", { href: `#message=${id}`, class: "id", text: id })))),
  ];
  if (message.channel === "email") return [...parts, ...mail(id, message)];
  if (message.channel === "push") {
    parts.push(el("div", { class: "push" }, el("strong", { text: message.subject ?? "" }), message.text ?? ""));
  } else if (message.text) {
    parts.push(el("p", { class: "bubble", text: message.text }));
  }
  if (message.data) parts.push(el("pre", { tabindex: "0", text: JSON.stringify(message.data, null, 2) }));
  return parts;
}

function mail(id, message) {
  const place = el("div");
  const views = {
    ...(message.has_html && { Looks: () => el("iframe", { src: `/ui/outbox/${id}/html`, sandbox: "", title: "The mail as it would look" }) }),
    ...(message.text !== null && { Text: () => el("pre", { tabindex: "0", text: message.text }) }),
    Headers: () => el("pre", { tabindex: "0", text: message.headers.map(([name, value]) => `${name}: ${value}`).join("\n") }),
  };
  const buttons = Object.entries(views).map(([name, view]) => el("button", {
    type: "button", text: name, "aria-pressed": "false",
    onclick: (event) => {
      for (const button of buttons) button.setAttribute("aria-pressed", String(button === event.currentTarget));
      place.replaceChildren(view());
    },
  }));
  queueMicrotask(() => buttons[0].click());
  return [el("div", { class: "tabs", role: "group", "aria-label": "View" }, ...buttons), place];
}
