/** How a timeline of rounds looks, in the light and in the dark. */
export const TIMELINE_STYLE: string = `
:root {
  color-scheme: light dark;
  --ground: light-dark(#f7f7f5, #16181c);
  --panel: light-dark(#ffffff, #1e2127);
  --line: light-dark(#dedfe0, #343841);
  --ink: light-dark(#1c1f24, #e6e8eb);
  --dim: light-dark(#656c76, #979faa);
  --bad: light-dark(#c0392b, #ff7b6b);
  --rank0: light-dark(#2459c9, #7fa8ff);
  --rank1: light-dark(#b9770e, #f0b64c);
  --rank2: light-dark(#a03a8c, #e58ad4);
  --onblock: light-dark(#ffffff, #14161a);
  --good: light-dark(#2c7a4b, #6fcf97);
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 14px/1.45 system-ui, sans-serif; }
header { padding: 14px 20px 10px; background: var(--panel); border-bottom: 1px solid var(--line); }
h1 { margin: 0 0 6px; font-size: 17px; font-weight: 600; }
h2 { margin: 0; font-size: 14px; font-weight: 600; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 1px 14px; margin: 0; }
dt { color: var(--dim); }
dd { margin: 0; overflow-wrap: anywhere; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 12px 0 0; color: var(--dim); font-size: 12.5px; }
.legend span { display: inline-flex; gap: 6px; align-items: center; }
section { padding: 14px 20px 6px; }
.ways { margin: 2px 0 0; color: var(--bad); font-size: 12.5px; }
.chart { display: flex; margin-top: 8px; border: 1px solid var(--line); border-radius: 6px; overflow: hidden; background: var(--panel); }
.labels { flex: none; border-right: 1px solid var(--line); }
.scroll { overflow-x: auto; flex: 1 1 0; min-width: 0; }
.scroll svg, .labels { display: block; }
:focus-visible { outline: 2px solid var(--rank0); outline-offset: -2px; }
svg text { fill: var(--ink); font: 12px ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
svg text.dim { fill: var(--dim); font-size: 10.5px; }
svg text.bad { fill: var(--bad); }
.lane { fill: var(--panel); }
.lane.odd { fill: var(--ground); }
.tick { stroke: var(--line); }
.healed { stroke: var(--good); stroke-width: 2; }
.healedtext { fill: var(--good) !important; font-size: 11px !important; }
.block { stroke-width: 1.5; }
.rank0 { --rank: var(--rank0); }
.rank1 { --rank: var(--rank1); }
.rank2 { --rank: var(--rank2); }
.block { stroke: var(--rank); fill: var(--panel); }
.block.final { fill: var(--rank); }
.block.notarized { fill: color-mix(in srgb, var(--rank) 28%, var(--panel)); }
.block.proposed { stroke-dasharray: 3 2; }
svg text.number { text-anchor: middle; font-size: 10px; pointer-events: none; }
svg text.number.final { fill: var(--onblock); }
.delivered { fill: var(--good); }
.span { stroke: none; }
.span.down { fill: color-mix(in srgb, var(--ink) 45%, transparent); }
.span.slow { fill: color-mix(in srgb, var(--rank1) 25%, transparent); }
.span.cut { fill: color-mix(in srgb, var(--bad) 25%, transparent); }
.span.muted { fill: color-mix(in srgb, var(--rank2) 25%, transparent); }
`;
