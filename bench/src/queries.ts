/**
 * Queries through HTTP, each with a verified Ed25519 signature and a signed answer, against a bare server that does that verification
 * and signature and nothing else: alternating runs, so that a machine that slows down slows both.
 * Run: node bench/src/queries.ts [queries a run] [runs]
 */
import { EMPTY_ARG, installCounter } from "./lib/counter.ts";
import { percentile, runLoad } from "./lib/load.ts";
import { startNetwork, startScript } from "./lib/network.ts";
import { signedEnvelope, statusOf } from "./lib/requests.ts";

const QUERIES = Number(process.argv[2] ?? 10_000);
const RUNS = Number(process.argv[3] ?? 5);
const CONCURRENCY = 32;

function check(status: number, body: Uint8Array): void {
  if (status !== 200 || statusOf(body) !== "replied")
    throw new Error(`a query was answered with ${status}: ${body}`);
}

const network = await startNetwork();
const bare = await startScript(new URL("./lib/bare-server.ts", import.meta.url));
try {
  const canisterId = await installCounter(network);
  let nonce = 0;
  const run = async (port: number): Promise<{ perSecond: number; p50: number; p99: number }> => {
    const bodies = Array.from({ length: QUERIES }, () =>
      signedEnvelope({ kind: "query", canisterId, method: "get", arg: EMPTY_ARG, nonce: nonce++ }),
    );
    const path = `/api/v3/canister/${canisterId}/query`;
    const { latencies, perSecond } = await runLoad({ port, path, bodies, concurrency: CONCURRENCY, check });
    return { perSecond, p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99) };
  };
  await run(network.port);
  await run(bare.port);
  const ratios: number[] = [];
  console.log("run   network queries/s   p50 ms   p99 ms   bare server/s   ratio");
  for (let i = 0; i < RUNS; i++) {
    const ours = await run(network.port);
    const limit = await run(bare.port);
    ratios.push(ours.perSecond / limit.perSecond);
    console.log(
      String(i + 1).padStart(3),
      ours.perSecond.toFixed(0).padStart(19),
      ours.p50.toFixed(2).padStart(8),
      ours.p99.toFixed(2).padStart(8),
      limit.perSecond.toFixed(0).padStart(15),
      (ours.perSecond / limit.perSecond).toFixed(2).padStart(7),
    );
  }
  const median = percentile(
    ratios.sort((a, b) => a - b),
    0.5,
  );
  console.log(`median ratio to the bare server: ${median.toFixed(2)} (target: at least 0.50)`);
} finally {
  await bare.stop();
  await network.stop();
}
