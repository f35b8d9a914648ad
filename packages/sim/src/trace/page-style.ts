/** How the page of a trace looks, in the light and in the dark. */
export const PAGE_STYLE: string = `
:root {
  color-scheme: light dark;
  --ground: light-dark(#f7f7f5, #16181c);
  --panel: light-dark(#ffffff, #1e2127);
  --line: light-dark(#dedfe0, #343841);
  --ink: light-dark(#1c1f24, #e6e8eb);
  --dim: light-dark(#656c76, #979faa);
  --mark: light-dark(#fff0b3, #5c4a12);
  --focus: light-dark(#2459c9, #7fa8ff);
  --bad: light-dark(#c0392b, #ff7b6b);
  --good: light-dark(#2c7a4b, #6fcf97);
}
* { box-sizing: border-box; }
body {
  margin: 0; height: 100vh; display: grid; grid-template-rows: auto auto minmax(0, 1fr);
  background: var(--ground); color: var(--ink); font: 14px/1.45 system-ui, sans-serif;
}
code, .mono, svg text { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: 12.5px; }
header { padding: 14px 20px 10px; background: var(--panel); border-bottom: 1px solid var(--line); }
h1 { margin: 0 0 6px; font-size: 17px; font-weight: 600; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 1px 14px; margin: 0; }
dt { color: var(--dim); }
dd { margin: 0; overflow-wrap: anywhere; white-space: pre-wrap; }
.bar { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; margin-top: 10px; }
.bar input {
  flex: 1 1 220px; max-width: 420px; padding: 5px 9px; border: 1px solid var(--line); border-radius: 6px;
  background: var(--ground); color: inherit; font: inherit;
}
button {
  padding: 5px 10px; border: 1px solid var(--line); border-radius: 6px; background: var(--ground);
  color: inherit; font: inherit; cursor: pointer;
}
button[aria-pressed="true"] { border-color: var(--focus); color: var(--focus); }
:focus-visible { outline: 2px solid var(--focus); outline-offset: 1px; }
#found { color: var(--dim); }
#timeline { max-height: 34vh; overflow: auto; border-bottom: 1px solid var(--line); background: var(--panel); }
#timeline svg { display: block; }
#timeline text { fill: var(--ink); }
#timeline .label { fill: var(--dim); }
#timeline .track { stroke: var(--line); }
#timeline .span { cursor: pointer; stroke: var(--panel); stroke-width: 0.6; }
#timeline .span.failed { stroke: var(--bad); stroke-width: 2; }
#timeline .span.hit { stroke: var(--focus); stroke-width: 2; }
#timeline .span.chosen { stroke: var(--ink); stroke-width: 2.5; }
#timeline .link { fill: none; stroke: var(--dim); stroke-width: 1; opacity: 0.55; pointer-events: none; }
#timeline .link.response { stroke-dasharray: 3 3; }
main { display: grid; grid-template-columns: minmax(0, 1fr) 400px; min-height: 0; }
#tree { overflow: auto; padding: 6px 0 40px; outline-offset: -2px; }
.row {
  display: grid; grid-template-columns: minmax(280px, 1fr) 170px 70px 150px 80px; gap: 12px; align-items: baseline;
  padding: 2px 20px; cursor: pointer; white-space: nowrap; min-width: 760px;
}
.row > span { overflow: hidden; text-overflow: ellipsis; }
.row:hover { background: color-mix(in srgb, var(--focus) 8%, transparent); }
.row[aria-selected="true"] { background: color-mix(in srgb, var(--focus) 16%, transparent); }
.row.hit { background: var(--mark); }
.row.head { position: sticky; top: -6px; z-index: 1; background: var(--ground); color: var(--dim); cursor: default; padding-block: 6px; }
.row .number { text-align: right; font-variant-numeric: tabular-nums; }
.row .share { position: relative; }
.row .share i { position: absolute; inset: 3px auto 3px 0; border-radius: 2px; background: color-mix(in srgb, var(--focus) 22%, transparent); }
.row .share b { position: relative; font-weight: normal; }
.twist { display: inline-block; width: 1.2em; color: var(--dim); user-select: none; }
.dim { color: var(--dim); }
.bad { color: var(--bad); }
.good { color: var(--good); }
.dot { display: inline-block; width: 9px; height: 9px; margin-right: 6px; border-radius: 3px; }
aside { overflow: auto; padding: 12px 20px 30px; border-left: 1px solid var(--line); background: var(--panel); }
aside h2 { margin: 0 0 8px; font-size: 15px; overflow-wrap: anywhere; }
aside h3 { margin: 16px 0 4px; font-size: 12px; font-weight: 600; color: var(--dim); text-transform: uppercase; letter-spacing: 0.05em; }
aside ol, aside ul { margin: 0; padding-left: 22px; }
aside pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }
@media (max-width: 900px) {
  body { height: auto; display: block; }
  main { grid-template-columns: minmax(0, 1fr); }
  aside { border-left: 0; border-top: 1px solid var(--line); }
}
`;
