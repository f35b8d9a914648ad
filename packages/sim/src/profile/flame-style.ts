/** How the flame graph's page looks (flame.ts): by the reader's setting dark or light, until the reader chooses. */
export const FLAME_STYLE = `
:root { color-scheme: light dark; --bg: #fbfaf8; --fg: #1d1d1f; --dim: #6b6b70; --line: #dcd9d2; --panel: #fff; --mark: #a21caf; }
@media (prefers-color-scheme: dark) { :root:not([data-theme="light"]) { --bg: #17171a; --fg: #ececef; --dim: #9b9ba3; --line: #34343a; --panel: #212126; --mark: #f0abfc; } }
:root[data-theme="dark"] { color-scheme: dark; --bg: #17171a; --fg: #ececef; --dim: #9b9ba3; --line: #34343a; --panel: #212126; --mark: #f0abfc; }
:root[data-theme="light"] { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; padding: 16px 20px 40px; background: var(--bg); color: var(--fg); font: 14px/1.45 system-ui, sans-serif; }
header { display: flex; flex-wrap: wrap; gap: 8px 24px; align-items: end; justify-content: space-between; }
h1 { margin: 0; font-size: 18px; } h2 { font-size: 15px; margin: 28px 0 8px; }
p { margin: 2px 0; color: var(--dim); } #subtitle { overflow-wrap: anywhere; }
#tools { display: flex; gap: 8px; margin: 0; }
input, button { font: inherit; color: inherit; background: var(--panel); border: 1px solid var(--line); border-radius: 6px; padding: 5px 10px; }
input { width: 240px; max-width: 60vw; } button { cursor: pointer; } button:hover { border-color: var(--dim); }
input:focus-visible, button:focus-visible, #graph:focus-visible { outline: 2px solid #3b82f6; outline-offset: 1px; }
#status { min-height: 1.45em; margin: 8px 0 6px; font-variant-numeric: tabular-nums; }
#graph { position: relative; overflow: hidden; }
.frame { position: absolute; height: 19px; padding: 0 4px; overflow: hidden; white-space: nowrap; text-overflow: ellipsis; font: 12px/19px ui-monospace, Menlo, Consolas, monospace;
  color: #1d1d1f; border: 0; border-radius: 2px; cursor: pointer; text-align: left; }
.frame:hover { filter: brightness(1.12) saturate(1.2); } .frame.above { opacity: .55; }
.frame.match { box-shadow: inset 0 0 0 2px var(--mark); } .searching .frame:not(.match) { opacity: .35; }
#tip { position: fixed; z-index: 9; max-width: min(640px, 90vw); padding: 8px 10px; background: var(--panel); border: 1px solid var(--line); border-radius: 6px;
  box-shadow: 0 4px 18px rgb(0 0 0 / .25); pointer-events: none; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
#tip b { font: 600 12px/1.4 ui-monospace, Menlo, Consolas, monospace; } #tip[hidden] { display: none; }
section { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th { text-align: right; font-weight: 600; color: var(--dim); } th:last-child, td:last-child { text-align: left; }
th, td { padding: 3px 14px 3px 0; white-space: nowrap; } td { text-align: right; border-top: 1px solid var(--line); }
td:last-child { font: 12px/1.6 ui-monospace, Menlo, Consolas, monospace; } tbody tr { cursor: pointer; } tbody tr:hover td { background: var(--panel); }
`;
