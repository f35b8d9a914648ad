/**
 * Update calls through HTTP, synchronous and certified (v4): latency at 1 and 64 clients and the rate, beside the time of a durable
 * write of the same size on the same disk, which no answer can be faster than.
 * Run: node bench/src/updates.ts [calls at one client] [calls at 64]
 */
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EMPTY_ARG, installCounter } from "./lib/counter.ts";
import { percentile, runLoad } from "./lib/load.ts";
import { startNetwork } from "./lib/network.ts";
import { signedEnvelope, statusOf } from "./lib/requests.ts";

const ALONE = Number(process.argv[2] ?? 500);
const TOGETHER = Number(process.argv[3] ?? 10_000);
const WARM_UP = 200;
const RECORD_BYTES = 600;

/** Median time of appending and syncing a record, milliseconds. */
function durableWriteMs(): number {
  const folder = mkdtempSync(join(tmpdir(), "orrery-fsync-"));
  const fd = openSync(join(folder, "log"), "w");
  const times: number[] = [];
  for (let i = 0; i < 100; i++) {
    const start = performance.now();
    writeSync(fd, new Uint8Array(RECORD_BYTES));
    fdatasyncSync(fd);
    times.push(performance.now() - start);
  }
  closeSync(fd);
  rmSync(folder, { recursive: true });
  return percentile(
    times.sort((a, b) => a - b),
    0.5,
  );
}

function check(status: number, body: Uint8Array): void {
  if (status !== 200 || statusOf(body) !== "replied")
    throw new Error(`an update was answered with ${status}: ${body}`);
}

const network = await startNetwork();
try {
  const canisterId = await installCounter(network);
  let nonce = 0;
  const bodies = (count: number): Uint8Array[] =>
    Array.from({ length: count }, () =>
      signedEnvelope({ kind: "call", canisterId, method: "inc", arg: EMPTY_ARG, nonce: nonce++ }),
    );
  const load = (count: number, concurrency: number): ReturnType<typeof runLoad> =>
    runLoad({
      port: network.port,
      path: `/api/v4/canister/${canisterId}/call`,
      bodies: bodies(count),
      concurrency,
      check,
    });
  await load(WARM_UP, 8);
  const fsync = durableWriteMs();
  console.log(
    `durable write of ${RECORD_BYTES} bytes: ${fsync.toFixed(2)} ms (limit of an answer's latency)`,
  );
  console.log("clients   p50 ms   p99 ms   updates/s   p50 / durable write");
  for (const [count, concurrency] of [
    [ALONE, 1],
    [TOGETHER, 64],
  ] as const) {
    const { latencies, perSecond } = await load(count, concurrency);
    const p50 = percentile(latencies, 0.5);
    console.log(
      String(concurrency).padStart(7),
      p50.toFixed(2).padStart(8),
      percentile(latencies, 0.99).toFixed(2).padStart(8),
      perSecond.toFixed(0).padStart(11),
      (p50 / fsync).toFixed(2).padStart(21),
    );
  }
} finally {
  await network.stop();
}
