/** `/_/dashboard`: what an instance consists of, for a person. */
import { principalToText } from "@orrery/base";
import type { Instance } from "@orrery/sim/instance";

const NS_PER_MS = 1_000_000n;

function row(cells: readonly string[]): string {
  return `<tr>${cells.map((cell) => `<td>${cell}</td>`).join("")}</tr>`;
}

/** Nothing in it comes from users: ids and names of kinds only. */
export function dashboard(instance: Instance): string {
  const rows = instance
    .topology()
    .subnets.map(({ id, kind, size, ranges, instructions, costSchedule }) =>
      row([
        principalToText(id),
        kind,
        String(size),
        ranges.map(({ start, end }) => `${principalToText(start)} – ${principalToText(end)}`).join("<br>"),
        instructions,
        costSchedule,
      ]),
    );
  const time = new Date(Number(instance.time / NS_PER_MS)).toISOString();
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>PocketIC instance</title>
<style>body{font-family:sans-serif}td,th{padding:.3em .8em;text-align:left;vertical-align:top;font-size:90%}</style></head>
<body><h1>PocketIC instance</h1>
<p>Time ${time}, height ${instance.height}.</p>
<table><tr><th>Subnet</th><th>Kind</th><th>Nodes</th><th>Canister ids</th><th>Instructions</th><th>Costs</th></tr>
${rows.join("\n")}
</table></body></html>
`;
}
