// The page: who looks, then a frame a second, and what operators do about it.

import * as charts from "./charts.js";
import * as message from "./message.js";
import * as outbox from "./outbox.js";
import { age, ask, byId, confirmed, count, el, keyed, milliseconds, noRows, notice, rate, say, shortId, tag, when } from "./dom.js";

const WHAT = { P0: "emergency", P1: "alerts", P2: "newsletters", P3: "campaigns", P4: "transactional" };
let session = null;
let feed = null;

function state(kind, text) {
  byId("state").className = `state ${kind}`;
  say(byId("state"), text);
}

async function begin() {
  try {
    session = await ask("/ui/session");
  } catch (error) {
    byId("dashboard").hidden = true;
    byId("login").hidden = error.status !== 401;
    byId("closed").hidden = error.status === 401 || error.status === 0;
    say(byId("closed-why"), error.message);
    if (error.status === 401) {
      state("", "logged out");
      byId("login-key").focus();
    } else if (error.status === 0) {
      state("trouble", "no answer");
      setTimeout(begin, 2000);
    } else {
      state("", "closed");
    }
    return;
  }
  byId("login").hidden = true;
  byId("closed").hidden = true;
  byId("logout").hidden = session.is_open;
  byId("pause-form").hidden = !session.is_admin;
  const isFirst = byId("dashboard").hidden;
  byId("dashboard").hidden = false;
  if (isFirst && !begin.started) {
    begin.started = true;
    charts.start();
    message.start(session);
    if (session.has_outbox) outbox.start();
  }
  follow();
}

function follow() {
  feed?.close();
  feed = new EventSource("/ui/feed");
  feed.addEventListener("history", (event) => charts.history(JSON.parse(event.data)));
  feed.addEventListener("frame", (event) => {
    state("live", "live");
    show(JSON.parse(event.data));
  });
  feed.addEventListener("trouble", (event) => state("trouble", JSON.parse(event.data).error));
  feed.addEventListener("error", () => {
    state("trouble", "connecting again");
    // It tries again by itself, unless it was refused: the key may have run out.
    if (feed.readyState === EventSource.CLOSED) setTimeout(begin, 2000);
  });
}

function show({ point, figures, recent }) {
  const flow = point[2];
  showQueues(figures.queues, flow);
  showGateways(figures.gateways);
  showEvents(recent.events);
  showFailures(recent.failures);
  showPauses(figures.pauses);
  showAttention(figures);
  charts.show(point, recent.minutes);
  message.refresh(recent.events);
  if (session.has_outbox) outbox.refresh(recent.events);
  const waiting = figures.queues.reduce((sum, queue) => sum + queue.ready, 0);
  const workers = figures.workers === 1 ? "1 worker" : `${figures.workers} workers`;
  const speed = flow ? `${rate(flow[0].reduce((a, b) => a + b, 0))} in, ${rate(flow[1].reduce((a, b) => a + b, 0))} out a second` : "";
  say(byId("facts"), [`${count(waiting)} waiting`, speed, workers].filter(Boolean).join(" · "));
  document.title = waiting > 0 ? `${count(waiting)} waiting · Postroad` : "Postroad";
}

/** A cell whose zero is quiet. */
function number(cell, text, isZero) {
  say(cell, text);
  cell.classList.toggle("zero", isZero);
}

const cells = (count, ...classes) => Array.from({ length: count }, (_, nth) => el("td", { class: classes[nth] ?? "n" }));
const orMore = (value) => (value >= 10000 ? "10,000 or more" : count(value));

function pauseButton(scope, key) {
  return session.is_admin
    ? el("button", { type: "button", onclick: (event) => (event.currentTarget.dataset.paused ? resume(scope, key) : pause(scope, key)) })
    : el("span");
}

function updatePauseButton(row, scope, key, reason) {
  const button = row.lastElementChild.firstElementChild;
  if (button.tagName !== "BUTTON") return;
  button.dataset.paused = reason === null ? "" : "yes";
  say(button, reason === null ? "Pause…" : "Resume");
  button.setAttribute("aria-label", `${reason === null ? "Pause" : "Resume"} ${scope} ${key}`);
}

function showQueues(queues, flow) {
  keyed(byId("queue").tBodies[0], queues, (queue) => queue.priority, (queue) => el("tr", {},
    el("th", { scope: "row" }, el("span", { class: `swatch ${queue.priority.toLowerCase()}`, "aria-hidden": "true" }), queue.priority,
      el("span", { class: "what", text: WHAT[queue.priority] }), el("span")),
    ...cells(7), el("td", { class: "act" }, pauseButton("priority", queue.priority))), (row, queue) => {
    const nth = Number(queue.priority.slice(1));
    const [name, waiting, oldest, came, went, processing, scheduled, parked] = row.cells;
    const mark = name.lastElementChild;
    const word = queue.paused !== null ? "paused" : queue.is_overdue ? "overdue" : "";
    if (mark.textContent.trim() !== word) mark.replaceChildren(...(word ? [" ", tag(word === "overdue" ? "overdue" : word)] : []));
    if (word === "overdue") mark.querySelector(".tag").className = "tag bad";
    number(waiting, count(queue.ready), queue.ready === 0);
    number(oldest, age(queue.oldest_seconds), queue.oldest_seconds === null);
    number(came, rate(flow?.[0][nth]), !flow?.[0][nth]);
    number(went, rate(flow?.[1][nth]), !flow?.[1][nth]);
    number(processing, count(queue.processing), queue.processing === 0);
    number(scheduled, orMore(queue.scheduled), queue.scheduled === 0);
    number(parked, orMore(queue.parked), queue.parked === 0);
    updatePauseButton(row, "priority", queue.priority, queue.paused);
  });
}

function showGateways(gateways) {
  const body = byId("gateways").tBodies[0];
  if (gateways.length === 0) return noRows(body, 10, "No worker has registered a gateway yet.");
  keyed(body, gateways, (gateway) => `${gateway.channel} ${gateway.gateway}`, (gateway) => el("tr", {},
    el("td", { text: gateway.channel }), el("th", { scope: "row", text: gateway.gateway }),
    ...cells(7, "", "n", "n", "n", "n", "n", ""), el("td", { class: "act" }, pauseButton("gateway", gateway.gateway))), (row, gateway) => {
    const [, , breaker, share, median, p95, sent, failed, last] = row.cells;
    const words = gateway.paused !== null ? "paused" : gateway.state;
    if (breaker.dataset.word !== `${words} ${gateway.cause}`) {
      breaker.dataset.word = `${words} ${gateway.cause}`;
      const spoken = { closed: "in order", half_open: "being probed", open: "breaker open" }[words] ?? words;
      const shown = tag(words);
      say(shown, spoken);
      breaker.replaceChildren(shown, ...(gateway.cause && words !== "closed" ? [" ", gateway.cause.replaceAll("_", " ")] : []));
    }
    number(share, gateway.calls_5m ? `${(100 * gateway.sent_5m / gateway.calls_5m).toFixed(gateway.sent_5m === gateway.calls_5m ? 0 : 1)} %` : "–", !gateway.calls_5m);
    number(median, milliseconds(gateway.p50_ms), gateway.p50_ms === null);
    number(p95, milliseconds(gateway.p95_ms), gateway.p95_ms === null);
    number(sent, count(gateway.sent_1h), gateway.sent_1h === 0);
    number(failed, count(gateway.failed_1h), gateway.failed_1h === 0);
    say(last, gateway.last_failure_at ? `${gateway.last_reason ?? "unknown"}, ${when(gateway.last_failure_at)}` : "");
    updatePauseButton(row, "gateway", gateway.gateway, gateway.paused);
  });
}

function showEvents(events) {
  const body = byId("events").tBodies[0];
  if (events.length === 0) return noRows(body, 6, "Nothing happened yet.");
  keyed(body, events, (event) => `${event.message_id} ${event.event_type} ${event.occurred_at}`, (event) => el("tr", {},
    el("td", { text: when(event.occurred_at) }), el("td", {}, tag(event.event_type)),
    el("td", {}, el("a", { href: `#message=${event.message_id}`, class: "id", title: event.message_id, text: shortId(event.message_id) })),
    el("td", { text: [event.channel, event.priority].filter(Boolean).join(" ") }), el("td", { text: event.gateway ?? "" }), el("td", { text: event.reason ?? "" })));
}

function showFailures(failures) {
  const body = byId("failures").tBodies[0];
  if (failures.length === 0) return noRows(body, 5, "Nothing failed in the last hour.");
  keyed(body, failures, (row) => `${row.event_type} ${row.reason} ${row.gateway}`, (row) => el("tr", {},
    el("td", { class: "n" }), el("td", {}, tag(row.event_type)), el("td", { text: row.reason }), el("td", { text: row.gateway ?? "" }), el("td")), (node, row) => {
    say(node.cells[0], count(row.count));
    say(node.cells[4], when(row.last_at));
  });
}

function showPauses(pauses) {
  const list = byId("pauses");
  if (pauses.length === 0) {
    return keyed(list, ["none"], () => "none", () => el("li", { class: "empty", text: "Nothing is paused." }));
  }
  keyed(list, pauses, (pause) => `${pause.scope} ${pause.key} ${pause.reason}`, (pause) => el("li", {}, tag("paused"),
    el("b", { text: `${pause.scope} ${pause.key}` }), el("span", { text: `since ${when(pause.paused_at)} by ${pause.paused_by}: ${pause.reason}` }),
    session.is_admin ? el("button", { type: "button", text: "Resume", "aria-label": `Resume ${pause.scope} ${pause.key}`, onclick: () => resume(pause.scope, pause.key) }) : null));
}

function showAttention(figures) {
  const things = [];
  if (figures.workers === 0) things.push("No worker runs: nothing is sent. Start postroad run.");
  for (const queue of figures.queues) {
    if (queue.is_overdue) things.push(`${queue.priority} is overdue: its next message waits for ${age(queue.oldest_seconds)}.`);
  }
  const down = new Map();
  for (const gateway of figures.gateways) {
    if (gateway.state !== "closed") down.set(gateway.gateway, gateway);
  }
  for (const [name, gateway] of down) things.push(`${name} gets no traffic since ${when(gateway.since)}: ${(gateway.cause ?? "its breaker is open").replaceAll("_", " ")}.`);
  for (const pause of figures.pauses) things.push(`${pause.scope} ${pause.key} is paused: ${pause.reason}.`);
  if (figures.oldest_lease_seconds > 600) things.push(`A claimed batch is not finished for ${age(figures.oldest_lease_seconds)}: see postroad.in_flight.`);
  if (figures.partitions_ahead < 1) things.push("No partition is made for tomorrow: does postroad maintain run?");
  if (figures.notify_usage > 0.5) things.push(`The server's queue of notifications is ${Math.round(100 * figures.notify_usage)} % full: a session listens and does not read.`);
  byId("attention").hidden = things.length === 0;
  keyed(byId("attention-list"), things, (thing) => thing, (thing) => el("li", { text: thing }));
}

async function pause(scope, key) {
  const texts = {
    priority: "Its messages stay in the queue, and are not claimed.",
    gateway: "It gets no traffic; messages that have no other gateway wait.",
  };
  const reason = await confirmed({
    title: `Pause ${scope} ${key}?`, reason: true, yes: "Pause",
    text: texts[scope] ?? "Its messages are parked until it is resumed.",
  });
  if (!reason) return;
  await act({ action: "pause", scope, key, reason }, `${scope} ${key} is paused.`);
}

async function resume(scope, key) {
  await act({ action: "resume", scope, key }, `${scope} ${key} goes on.`);
}

async function act(body, told) {
  try {
    const { done } = await ask("/ui/actions", body);
    notice(done ? told : "There was nothing to do: somebody was faster.");
  } catch (error) {
    notice(`That did not work: ${error.message}`);
    if (error.status === 401) begin();
  }
}

byId("pause-form").addEventListener("submit", (event) => {
  event.preventDefault();
  pause(byId("pause-scope").value, byId("pause-key").value.trim());
});

byId("login-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const field = byId("login-key");
  say(byId("login-problem"), "");
  try {
    await ask("/ui/login", { key: field.value });
    field.value = "";
    await begin();
    byId("main").focus();
  } catch (error) {
    say(byId("login-problem"), error.message);
  }
});

byId("logout").addEventListener("click", async () => {
  feed?.close();
  await ask("/ui/logout", {}).catch(() => {});
  location.reload();
});

begin();
