// The three charts. uPlot draws; colours come from the style sheet, so that they follow light and dark.

import { byId, el, short } from "./dom.js";

const PRIORITIES = ["P0", "P1", "P2", "P3", "P4"];
const SPAN_MS = 5 * 60 * 1000;
const POINTS = 301;
const HEIGHT = 160;
const MINUTES = [1, 2, 5, 10, 15, 30].map((minutes) => minutes * 60 * 1000);

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

// Times in ms, then a row of values for each series.
const depth = [[], [], [], [], [], []];
const rates = [[], [], []];
let hour = [[], [], []];
let plots = [];

function legend(id, entries) {
  byId(id).replaceChildren(...entries.map(([kind, text]) =>
    el("span", {}, el("span", { class: `swatch ${kind}`, "aria-hidden": "true" }), text)));
}

function axes() {
  const line = { stroke: colour("line"), width: 1 };
  const shared = { stroke: colour("soft"), grid: line, ticks: { ...line, size: 4 }, font: "11px system-ui, sans-serif" };
  return [
    { ...shared, space: 60, size: 28, incrs: MINUTES, values: (_, splits) => splits.map((at) => new Date(at).toLocaleTimeString("en-GB", { timeStyle: "short" })) },
    { ...shared, size: 46, space: 32, values: (_, splits) => splits.map((value) => (Number.isInteger(value) || value < 10 ? short(value) : "")) },
  ];
}

function plot(id, series, data, range, more = {}) {
  const parent = byId(id);
  const chart = new globalThis.uPlot({
    width: Math.max(parent.clientWidth, 100),
    height: HEIGHT,
    ms: 1,
    legend: { show: false },
    cursor: { show: false },
    axes: axes(),
    scales: { x: { range }, y: { range: (_, low, high) => [0, Math.max(high ?? 0, 4) * 1.08] } },
    series: [{}, ...series],
    ...more,
  }, data, parent);
  plots.push({ chart, parent });
  return chart;
}

let depthPlot;
let ratePlot;
let hourPlot;

function build() {
  for (const { chart } of plots) chart.destroy();
  plots = [];
  const lastMinutes = () => {
    const end = depth[0].at(-1) ?? Date.now();
    return [end - SPAN_MS, end];
  };
  const line = (name, width = 1.6) => ({ stroke: colour(name), width, points: { show: false } });
  depthPlot = plot("depth-chart", PRIORITIES.map((p) => line(p.toLowerCase())), depth, lastMinutes);
  ratePlot = plot("rate-chart", [line("in"), line("out")], rates, lastMinutes);
  const bars = (name) => ({
    stroke: colour(name), fill: colour(name), width: 0, points: { show: false },
    paths: globalThis.uPlot.paths.bars({ size: [0.7, 14], align: 1 }),
  });
  const lastHour = () => [Date.now() - 3600 * 1000, Date.now() + 30 * 1000];
  // Both together behind, those that were accepted in front.
  hourPlot = plot("hour-chart", [bars("bad"), bars("out")], hour, lastHour);
}

export function start() {
  legend("depth-legend", PRIORITIES.map((p) => [p.toLowerCase(), p]));
  legend("rate-legend", [["in", "in: queued"], ["out", "out: taken by workers, or withdrawn"]]);
  legend("hour-legend", [["out", "accepted"], ["bad", "not accepted"]]);
  build();
  new ResizeObserver(() => {
    for (const { chart, parent } of plots) chart.setSize({ width: Math.max(parent.clientWidth, 100), height: HEIGHT });
  }).observe(byId("dashboard"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", build);
}

const sum = (values) => values.reduce((a, b) => a + b, 0);

function add([at, depths, flow]) {
  if (at <= (depth[0].at(-1) ?? 0)) return;
  depth[0].push(at);
  PRIORITIES.forEach((_, nth) => depth[nth + 1].push(depths[nth] ?? 0));
  rates[0].push(at);
  rates[1].push(flow ? sum(flow[0]) : null);
  rates[2].push(flow ? sum(flow[1]) : null);
  for (const list of [...depth, ...rates]) while (list.length > POINTS) list.shift();
}

export function history(points) {
  for (const list of [...depth, ...rates]) list.length = 0;
  points.forEach(add);
}

export function show(point, minutes) {
  add(point);
  hour = [
    minutes.map(([at]) => at * 1000),
    minutes.map(([, sent, failed]) => sent + failed),
    minutes.map(([, sent]) => sent),
  ];
  depthPlot.setData(depth);
  ratePlot.setData(rates);
  hourPlot.setData(hour);
}
