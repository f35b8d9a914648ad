/** What the page of a trace does: shows, opens and searches the data in it. Texts of canisters are only ever text. */
export const PAGE_SCRIPT: string = String.raw`
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";
const LABEL = 250, LANE = 26, BAR = 18, TOP = 22, DRAWN_MAX = 4000;
const byId = (id) => document.getElementById(id);
const number = (text) => text.replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");
const hue = (i) => (i * 137 + 205) % 360;
const colour = (i) => "light-dark(hsl(" + hue(i) + " 52% 60%), hsl(" + hue(i) + " 42% 48%))";

function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) if (value !== null) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}
function drawn(tag, attributes, text) {
  const made = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

/* ---- rows: executions, and the calls that they made ---- */
const rows = data.rows.map((row, id) => ({ ...row, id, children: [], isOpen: row.depth < 6, element: null }));
const roots = [];
for (const row of rows) (row.parent === null ? roots : rows[row.parent].children).push(row);
const rowOfSpan = new Map(rows.filter((row) => row.span !== null).map((row) => [row.span, row]));
let chosen = null;
let hits = new Set();

function label(row) {
  const track = data.tracks[row.track];
  const dot = element("span", { class: "dot" });
  if (track === undefined) dot.style.visibility = "hidden";
  else dot.style.background = colour(row.track);
  const who = track === undefined ? row.callee : track.name;
  const twist = element("span", { class: "twist", "aria-hidden": "true" }, row.children.length === 0 ? "" : row.isOpen ? "▾" : "▸");
  const cell = element("span", { role: "gridcell", title: row.title }, twist);
  cell.style.paddingLeft = row.depth * 16 + "px";
  if (row.span === null) cell.append(element("span", { class: "dim" }, "→ " + who + " "), row.title);
  else cell.append(dot, element("span", { class: "dim" }, who + " "), row.title);
  if (row.failed) cell.append(element("span", { class: "bad" }, " ✗ " + row.outcome));
  else if (row.outcome !== "") cell.append(element("span", { class: "dim" }, " " + row.outcome));
  return cell;
}
function make(row) {
  const share = element("span", { class: "share number", role: "gridcell" });
  if (row.total !== null) {
    const bar = element("i", {});
    bar.style.width = (100 * Number(row.total)) / Math.max(1, Number(data.total)) + "%";
    share.append(bar, element("b", {}, number(row.total)));
  }
  const cells = [row.pages, row.cycles, row.round].map((text) => element("span", { class: "number", role: "gridcell" }, text === null ? "" : number(text)));
  const made = element("div", { class: "row", role: "row", "aria-level": String(row.depth + 1), "aria-expanded": row.children.length === 0 ? null : String(row.isOpen) }, label(row), share, ...cells);
  made.addEventListener("click", () => {
    if (chosen === row && row.children.length > 0) toggle(row);
    choose(row);
  });
  row.element = made;
  paint(row);
  return made;
}
function paint(row) {
  if (row.element === null) return;
  row.element.classList.toggle("hit", hits.has(row.id));
  row.element.setAttribute("aria-selected", String(chosen === row));
}
function shown() {
  const list = [];
  const walk = (row) => {
    list.push(row);
    if (row.isOpen) row.children.forEach(walk);
  };
  roots.forEach(walk);
  return list;
}
function renderTree() {
  const head = element("div", { class: "row head", role: "row" });
  for (const [i, text] of ["Execution", "Instructions, with calls", "Pages", "Cycles", "Round"].entries())
    head.append(element("span", { role: "columnheader", class: i === 0 ? null : "number" }, text));
  byId("tree").replaceChildren(head, ...shown().map(make));
}
function toggle(row) {
  row.isOpen = !row.isOpen;
  renderTree();
}
function reveal(row) {
  for (let up = row.parent; up !== null; up = rows[up].parent) rows[up].isOpen = true;
}
function choose(row) {
  const before = chosen;
  chosen = row;
  if (row.element === null || !row.element.isConnected) {
    reveal(row);
    renderTree();
  }
  if (before !== null) paint(before);
  paint(row);
  row.element.scrollIntoView({ block: "nearest" });
  paintSpans();
  renderDetails(row);
}

/* ---- what is known of the chosen one ---- */
function renderDetails(row) {
  const panel = byId("details");
  panel.replaceChildren(element("h2", {}, row.title));
  const list = element("dl", {});
  for (const [key, value] of row.facts) list.append(element("dt", {}, key), element("dd", { class: key === "failed" ? "bad" : null }, value));
  panel.append(list);
  if (row.backtrace.length > 0) {
    panel.append(element("h3", {}, "Under way when it trapped"));
    panel.append(element("ol", { class: "mono" }, ...row.backtrace.map((frame) => element("li", {}, frame))));
  }
  if (row.logs.length > 0) {
    panel.append(element("h3", {}, "Printed"));
    panel.append(element("pre", { class: "mono" }, row.logs.join("\n")));
  }
}

/* ---- the timeline ---- */
let axis = "instructions";
const spanElements = new Map();
function renderTimeline() {
  const { spans, end } = data.axes[axis];
  const host = byId("timeline");
  const width = Math.max(host.clientWidth, 640);
  const at = (ns) => LABEL + (ns / Math.max(1, end)) * (width - LABEL - 24);
  const svg = drawn("svg", { width, height: TOP + data.tracks.length * LANE + 8, role: "img", "aria-label": "timeline" });
  for (let i = 0; i <= 5; i++) {
    const x = at((end * i) / 5);
    svg.append(drawn("line", { class: "track", x1: x, x2: x, y1: TOP - 6, y2: TOP + data.tracks.length * LANE }));
    svg.append(drawn("text", { class: "label", x, y: 13, "text-anchor": i === 0 ? "start" : i === 5 ? "end" : "middle" }, tick((end * i) / 5)));
  }
  for (const [i, track] of data.tracks.entries()) {
    const y = TOP + i * LANE;
    const text = drawn("text", { x: 20, y: y + 14 }, track.name.length > 30 ? track.name.slice(0, 29) + "…" : track.name);
    text.append(drawn("title", {}, track.canisterId + " on subnet " + track.subnetId));
    svg.append(drawn("line", { class: "track", x1: LABEL, x2: width, y1: y + LANE - 3, y2: y + LANE - 3 }), text);
  }
  spanElements.clear();
  for (const [id, span] of spans.slice(0, DRAWN_MAX).entries()) {
    const row = rowOfSpan.get(id);
    const box = drawn("rect", {
      class: "span" + (row.failed ? " failed" : ""), x: at(span[0]), y: TOP + row.track * LANE + 2,
      width: Math.max(2, at(span[1]) - at(span[0])), height: BAR, rx: 2.5, fill: colour(row.track),
    });
    box.style.fill = colour(row.track);
    box.append(drawn("title", {}, row.title + ", " + number(row.own) + " instructions"));
    box.addEventListener("click", () => choose(row));
    spanElements.set(id, box);
    svg.append(box);
  }
  for (const [kind, from, to] of data.links) {
    if (from >= DRAWN_MAX || to >= DRAWN_MAX) continue;
    const x1 = at(spans[from][1]), x2 = at(spans[to][0]);
    const y1 = TOP + rowOfSpan.get(from).track * LANE + 2 + BAR / 2, y2 = TOP + rowOfSpan.get(to).track * LANE + 2 + BAR / 2;
    const bend = Math.max(8, Math.abs(x2 - x1) / 3);
    svg.append(drawn("path", { class: "link " + kind, d: "M" + x1 + " " + y1 + " C" + (x1 + bend) + " " + y1 + " " + (x2 - bend) + " " + y2 + " " + x2 + " " + y2 }));
  }
  host.replaceChildren(svg);
  if (spans.length > DRAWN_MAX) host.append(element("p", { class: "dim" }, "The first " + DRAWN_MAX + " of " + spans.length + " executions are drawn."));
  paintSpans();
}
function tick(value) {
  if (axis === "instructions") {
    const unit = value >= 1e9 ? [1e9, " G"] : value >= 1e6 ? [1e6, " M"] : value >= 1e3 ? [1e3, " k"] : [1, ""];
    return Number((value / unit[0]).toPrecision(3)) + unit[1];
  }
  const unit = value >= 1e9 ? [1e9, " s"] : value >= 1e6 ? [1e6, " ms"] : [1e3, " µs"];
  return Number((value / unit[0]).toPrecision(3)) + unit[1];
}
function paintSpans() {
  for (const [id, box] of spanElements) {
    const row = rowOfSpan.get(id);
    box.classList.toggle("chosen", row === chosen);
    box.classList.toggle("hit", hits.has(row.id));
  }
}

/* ---- searching, opening, keys ---- */
let hitList = [];
function search(text) {
  const wanted = text.trim().toLowerCase();
  hitList = wanted === "" ? [] : rows.filter((row) => row.text.includes(wanted));
  hits = new Set(hitList.map((row) => row.id));
  byId("found").textContent = wanted === "" ? "" : hitList.length === 0 ? "nothing found" : hitList.length + " found";
  hitList.slice(0, 2000).forEach(reveal);
  renderTree();
  paintSpans();
}
function step(direction) {
  const list = hitList.length > 0 ? hitList : shown();
  const at = list.indexOf(chosen);
  const next = list[(at + direction + list.length) % list.length];
  if (next !== undefined) choose(next);
}
byId("search").addEventListener("input", (event) => search(event.target.value));
byId("search").addEventListener("keydown", (event) => {
  if (event.key === "Enter") step(event.shiftKey ? -1 : 1);
});
byId("open").addEventListener("click", () => { for (const row of rows) row.isOpen = true; renderTree(); });
byId("close").addEventListener("click", () => { for (const row of rows) row.isOpen = false; renderTree(); });
for (const kind of ["instructions", "time"])
  byId("axis-" + kind).addEventListener("click", () => {
    axis = kind;
    for (const one of ["instructions", "time"]) byId("axis-" + one).setAttribute("aria-pressed", String(one === axis));
    renderTimeline();
  });
byId("tree").addEventListener("keydown", (event) => {
  const list = shown();
  const at = Math.max(0, list.indexOf(chosen));
  if (event.key === "ArrowDown") choose(list[Math.min(list.length - 1, at + 1)]);
  else if (event.key === "ArrowUp") choose(list[Math.max(0, at - 1)]);
  else if (event.key === "ArrowRight" && chosen !== null && !chosen.isOpen) { toggle(chosen); choose(chosen); }
  else if (event.key === "ArrowLeft" && chosen !== null && chosen.isOpen && chosen.children.length > 0) { toggle(chosen); choose(chosen); }
  else if (event.key === "ArrowLeft" && chosen !== null && chosen.parent !== null) choose(rows[chosen.parent]);
  else return;
  event.preventDefault();
});
new ResizeObserver(renderTimeline).observe(byId("timeline"));
renderTree();
renderTimeline();
if (rows.length > 0) choose(rows.find((row) => row.failed) ?? rows[0]);
`;
