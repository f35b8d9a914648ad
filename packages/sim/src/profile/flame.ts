/**
 * A flame graph as one page that needs nothing else: click a function to zoom, search, hover for its numbers. The page's data are
 * the names, and the tree of calls as lists of `[name, self, ...children]` in order.
 */
import type { FunctionProfile } from "@orrery/wasm";
import { documentOf, escaped } from "../page.ts";
import { FLAME_SCRIPT } from "./flame-script.ts";
import { FLAME_STYLE } from "./flame-style.ts";
import { type ProfileNode, profileTree } from "./tree.ts";

export interface FlameGraphOptions {
  readonly title?: string;
  /** A line below it: what was called, how it ended. */
  readonly subtitle?: string;
}

type Packed = readonly [name: number, self: number, ...children: Packed[]];

export function renderFlameGraph(profile: FunctionProfile, options: FlameGraphOptions = {}): string {
  const { title = "Instructions by function", subtitle = "" } = options;
  const names = new Map<string, number>();
  const pack = ({ name, self, children }: ProfileNode): Packed => {
    let index = names.get(name);
    if (index === undefined) {
      index = names.size;
      names.set(name, index);
    }
    return [index, Number(self), ...children.map(pack)];
  };
  const tree = pack(profileTree(profile));
  const body = `<header>
  <div><h1>${escaped(title)}</h1><p id="subtitle">${escaped(subtitle)}</p></div>
  <form id="tools" role="search">
    <input id="search" type="search" placeholder="Search functions" aria-label="Search functions" autocomplete="off" spellcheck="false">
    <button id="reset" type="button">Reset zoom</button>
    <button id="theme" type="button" aria-label="Dark or light">◐</button>
  </form>
</header>
<p id="status" aria-live="polite"></p>
<main id="graph" tabindex="0" aria-label="Flame graph"></main>
<div id="tip" role="tooltip" hidden></div>
<section>
  <h2>Functions by their own instructions</h2>
  <table><thead><tr><th>Self</th><th>%</th><th>With callees</th><th>%</th><th>Function</th></tr></thead><tbody id="top"></tbody></table>
</section>
<noscript>This page draws with JavaScript, all of which is in it.</noscript>`;
  return documentOf({
    ...{ title, body, style: FLAME_STYLE, script: FLAME_SCRIPT },
    json: JSON.stringify({ names: [...names.keys()], tree }),
  });
}
