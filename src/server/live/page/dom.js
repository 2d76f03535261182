// Helpers: elements without HTML in strings, rows that keep their place, words for numbers and times.

export const byId = (id) => document.getElementById(id);

/** An element with properties (class, text, on…, data and aria attributes) and children. */
export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "text") node.textContent = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Changes a text only where it differs, so that a selection stays. */
export function say(node, text) {
  const wanted = text === null || text === undefined ? "" : String(text);
  if (node.textContent !== wanted) node.textContent = wanted;
}

/**
 * Makes the children of `parent` those of `items`: `make(item)` builds one, `update(node, item)` brings it up to date. A node
 * stays the same as long as its key does, and with it the focus.
 */
export function keyed(parent, items, keyOf, make, update = () => {}) {
  const known = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  let next = parent.firstElementChild;
  for (const item of items) {
    const key = String(keyOf(item));
    let node = known.get(key);
    known.delete(key);
    if (!node) {
      node = make(item);
      node.dataset.key = key;
    }
    update(node, item);
    if (node === next) next = next.nextElementSibling;
    else parent.insertBefore(node, next);
  }
  for (const node of known.values()) node.remove();
}

/** One row that says that there is none. */
export function noRows(body, columns, text) {
  keyed(body, [text], () => "none", () => el("tr", {}, el("td", { class: "empty", colspan: columns, text })));
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const count = (value) => whole.format(value ?? 0);
export const short = (value) => (Math.abs(value) < 10000 ? whole.format(value) : compact.format(value));

export function rate(value) {
  if (value === null || value === undefined) return "–";
  return value > 0 && value < 10 ? value.toFixed(1) : whole.format(value);
}

/** A span of seconds in words. */
export function age(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 1) return "< 1 s";
  if (seconds < 100) return `${Math.floor(seconds)} s`;
  if (seconds < 100 * 60) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

export function milliseconds(value) {
  if (value === null || value === undefined) return "–";
  return value < 1000 ? `≤ ${whole.format(value)} ms` : `≤ ${(value / 1000).toFixed(value < 10000 ? 1 : 0)} s`;
}

/** A moment: the time of today, else the day too. */
export function when(text) {
  if (!text) return "";
  if (text === "infinity") return "for as long as it is paused";
  const at = new Date(text);
  const time = at.toLocaleTimeString("en-GB");
  return at.toDateString() === new Date().toDateString() ? time : `${at.toLocaleDateString("en-CA")} ${time}`;
}

export const shortId = (id) => `…${id.slice(-12)}`;

const TAGS = {
  sent: "ok", delivered: "ok", opened: "ok", clicked: "ok", converted: "ok", done: "ok", pass: "ok", closed: "ok",
  deferred: "warn", unknown: "warn", suppressed: "warn", expired: "warn", wait: "warn", paused: "warn", half_open: "warn",
  unsubscribed: "warn", failed: "bad", bounced: "bad", complained: "bad", stop: "bad", open: "bad",
};

/** A word with its colour; the word says it all without. */
export const tag = (word) => el("span", { class: `tag ${TAGS[word] ?? ""}`, text: String(word).replaceAll("_", " ") });

let hideNotice;
/** Says what came of an action, for a while. */
export function notice(text) {
  const node = byId("notice");
  node.hidden = false;
  say(node, text);
  clearTimeout(hideNotice);
  hideNotice = setTimeout(() => { node.hidden = true; }, 6000);
}

/** Asks our server; an error has its words and its status. */
export async function ask(path, body) {
  const options = body === undefined
    ? {}
    : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw Object.assign(new Error("the server does not answer"), { status: 0 });
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) {
    throw Object.assign(new Error(answer.error ?? `the server answered ${response.status}`), { status: response.status });
  }
  return answer;
}

/** Asks before something is done; resolves to the reason given (or true), or to null. */
export function confirmed({ title, text, yes, reason }) {
  const dialog = byId("ask");
  const field = byId("ask-reason");
  say(byId("ask-title"), title);
  say(byId("ask-text"), text);
  say(byId("ask-yes"), yes);
  byId("ask-field").hidden = !reason;
  field.value = "";
  field.required = Boolean(reason);
  dialog.returnValue = "no";
  dialog.showModal();
  (reason ? field : byId("ask-yes")).focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      resolve(dialog.returnValue === "yes" ? (reason ? field.value.trim() : true) : null);
    }, { once: true });
  });
}
