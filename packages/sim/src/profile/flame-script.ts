/**
 * What the flame graph's page does (flame.ts). Only frames that are wide enough to be seen are made, so that a tree of any size is drawn at
 * once; names reach the page as text, never as markup.
 */
export const FLAME_SCRIPT: string = `
"use strict";
(() => {
  const ROW = 20, NARROWEST = 0.4, ROWS_TOP = 20;
  const byId = (id) => document.getElementById(id);
  const { names, tree } = JSON.parse(byId("data").textContent);
  const graph = byId("graph"), tip = byId("tip"), search = byId("search"), status = byId("status");

  const build = ([name, self, ...children], parent, depth) => {
    const node = { name: parent ? names[name] : "all", self, total: self, parent, depth, children: [] };
    node.children = children.map((child) => build(child, node, depth + 1));
    for (const child of node.children) node.total += child.total;
    return node;
  };
  const root = build(tree, null, 0);
  let zoomed = root, pattern = null;

  const count = (n) => n.toLocaleString("en-US");
  const share = (n, of) => (of === 0 ? "0" : ((100 * n) / of).toFixed(2)) + " %";
  const hash = (text) => {
    let h = 2166136261;
    for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 16777619);
    return (h >>> 0) / 4294967296;
  };
  const colour = ({ name, parent }) => {
    const h = hash(name);
    if (parent === null) return "hsl(220 8% 72%)";
    if (name.startsWith("ic0.")) return "hsl(" + (200 + 20 * h) + " 65% " + (68 + 8 * h) + "%)";
    if (name.startsWith("(")) return "hsl(265 40% 76%)";
    return "hsl(" + (12 + 40 * h) + " " + (72 + 16 * hash(name + "s")) + "% " + (62 + 10 * h) + "%)";
  };
  const matches = (node) => pattern !== null && node.parent !== null && node.name.toLowerCase().includes(pattern);

  const frame = (node, left, width, above) => {
    const box = document.createElement("div");
    box.className = "frame" + (above ? " above" : "") + (matches(node) ? " match" : "");
    box.style.cssText = "left:" + left + "px;width:" + Math.max(width - 1, NARROWEST) + "px;top:" + node.depth * ROW + "px;background:" + colour(node);
    if (width < 12) box.style.padding = "0";
    else box.textContent = node.name;
    box.node = node;
    return box;
  };
  const draw = () => {
    const width = graph.clientWidth, boxes = document.createDocumentFragment();
    let rows = 0;
    for (let above = zoomed.parent; above !== null; above = above.parent) boxes.append(frame(above, 0, width, true));
    const scale = zoomed.total === 0 ? 0 : width / zoomed.total;
    const open = [[zoomed, 0]];
    while (open.length > 0) {
      const [node, left] = open.pop();
      const wide = node === zoomed ? width : node.total * scale;
      if (wide < NARROWEST) continue;
      boxes.append(frame(node, left, wide, false));
      rows = Math.max(rows, node.depth + 1);
      let at = left;
      for (const child of node.children) {
        open.push([child, at]);
        at += child.total * scale;
      }
    }
    graph.replaceChildren(boxes);
    graph.style.height = rows * ROW + "px";
    graph.classList.toggle("searching", pattern !== null);
    byId("reset").disabled = zoomed === root;
    describe();
  };
  const describe = () => {
    let text = count(root.total) + " instructions";
    if (zoomed !== root) text += " · " + zoomed.name + ": " + count(zoomed.total) + " (" + share(zoomed.total, root.total) + ")";
    if (pattern !== null) {
      // A match inside another is part of it.
      const found = (node) => (matches(node) ? node.total : node.children.reduce((sum, child) => sum + found(child), 0));
      const total = found(zoomed);
      text += " · matched: " + count(total) + " (" + share(total, zoomed.total) + ")";
    }
    status.textContent = text;
  };
  const zoom = (node) => {
    zoomed = node;
    hide();
    draw();
  };

  const hide = () => { tip.hidden = true; };
  const show = (node, x, y) => {
    const name = document.createElement("b");
    name.textContent = node.name;
    const lines = [
      count(node.total) + " instructions with callees (" + share(node.total, root.total) + " of all" +
        (node.parent === null || node.parent === root ? "" : ", " + share(node.total, node.parent.total) + " of its caller") + ")",
      count(node.self) + " of its own (" + share(node.self, root.total) + ")",
    ];
    tip.replaceChildren(name, ...lines.flatMap((line) => [document.createElement("br"), line]));
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    tip.style.left = Math.max(4, Math.min(x + 14, innerWidth - width - 8)) + "px";
    tip.style.top = (y + 18 + height > innerHeight ? Math.max(4, y - height - 10) : y + 18) + "px";
  };

  graph.addEventListener("click", ({ target }) => target.node && zoom(target.node));
  graph.addEventListener("mousemove", ({ target, clientX, clientY }) => (target.node ? show(target.node, clientX, clientY) : hide()));
  graph.addEventListener("mouseleave", hide);
  graph.addEventListener("keydown", (event) => {
    const siblings = zoomed.parent === null ? [zoomed] : zoomed.parent.children;
    const at = siblings.indexOf(zoomed);
    const next = { ArrowDown: zoomed.children[0], ArrowUp: zoomed.parent, ArrowRight: siblings[at + 1], ArrowLeft: siblings[at - 1] }[event.key];
    if (!next) return;
    event.preventDefault();
    zoom(next);
  });
  addEventListener("keydown", ({ key }) => {
    if (key !== "Escape") return;
    search.value = "";
    pattern = null;
    zoom(root);
  });
  const find = (text) => {
    pattern = text.trim() === "" ? null : text.trim().toLowerCase();
    draw();
  };
  search.addEventListener("input", () => find(search.value));
  byId("tools").addEventListener("submit", (event) => event.preventDefault());
  byId("reset").addEventListener("click", () => zoom(root));
  byId("theme").addEventListener("click", () => {
    const { dataset } = document.documentElement;
    const dark = dataset.theme ? dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    dataset.theme = dark ? "light" : "dark";
  });
  new ResizeObserver(draw).observe(graph.parentElement);

  const shares = new Map();
  const add = (node, open) => {
    const one = shares.get(node.name) ?? { self: 0, total: 0 };
    shares.set(node.name, one);
    one.self += node.self;
    const inner = !open.has(node.name);
    if (inner) {
      one.total += node.total;
      open.add(node.name);
    }
    for (const child of node.children) add(child, open);
    if (inner) open.delete(node.name);
  };
  for (const child of root.children) add(child, new Set());
  const sorted = [...shares].sort(([, a], [, b]) => b.self - a.self).slice(0, ROWS_TOP);
  byId("top").append(...sorted.map(([name, { self, total }]) => {
    const row = document.createElement("tr");
    row.append(...[count(self), share(self, root.total), count(total), share(total, root.total), name].map((text) => {
      const cell = document.createElement("td");
      cell.textContent = text;
      return cell;
    }));
    row.addEventListener("click", () => {
      search.value = name;
      find(name);
      scrollTo({ top: 0, behavior: "smooth" });
    });
    return row;
  }));
  draw();
})();
`;
