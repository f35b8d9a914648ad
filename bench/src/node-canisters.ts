/**
 * Very many canisters on a node: made, installed from 22 modules and called in random order over HTTP, each answer looked at; what the
 * process holds then. `canisters` measures the same in one process without node and HTTP, and with ten times as many.
 * Run: node bench/src/node-canisters.ts [canisters] [answers]
 */
import { readFileSync } from "node:fs";
import { IDL } from "@icp-sdk/core/candid";
import type { Principal as CandidPrincipal } from "@icp-sdk/core/principal";
import { type CborMap, decodeCbor, principalFromText, utf8 } from "@orrery/base";
import { decodeCertificate, listLabels, lookupPath, lookupSubtree } from "@orrery/crypto";
import {
  CREATE,
  type FleetModule,
  fleetCall,
  fleetInstall,
  fleetModules,
  isFleetReply,
} from "./lib/fleet.ts";
import { percentile, runLoad } from "./lib/load.ts";
import { startNetwork } from "./lib/network.ts";
import { signedEnvelope } from "./lib/requests.ts";

const CANISTERS = Number(process.argv[2] ?? 10_000);
const ANSWERS = Number(process.argv[3] ?? 5_000);
const CONCURRENCY = 32;
/** Requests whose bodies are made ahead: envelopes expire. */
const AHEAD = 500;
const MANAGEMENT = "aaaaa-aa";

interface Asked {
  readonly kind: "call" | "query";
  readonly canisterId: string;
  readonly effective: string;
  readonly method: string;
  readonly arg: Uint8Array;
}

/** The reply in a certificate of one request. */
function certifiedReply(body: CborMap): Uint8Array {
  const certificate = decodeCertificate(body.get("certificate") as Uint8Array);
  if (!certificate.ok) throw new Error(certificate.error.message);
  const { tree } = certificate.value;
  const requests = lookupSubtree(tree, [utf8("request_status")]);
  const [id] = requests.kind === "found" ? listLabels(requests.value) : [];
  const reply = lookupPath(tree, [utf8("request_status"), id ?? new Uint8Array(), utf8("reply")]);
  if (reply.kind !== "found") throw new Error("a call was not replied to");
  return reply.value;
}

function replyOf(kind: Asked["kind"], status: number, bytes: Uint8Array): Uint8Array {
  if (status !== 200) throw new Error(`HTTP ${status}: ${Buffer.from(bytes).toString()}`);
  const body = decodeCbor(bytes) as CborMap;
  if (body.get("status") !== "replied") throw new Error(`rejected: ${String(body.get("reject_message"))}`);
  return kind === "call" ? certifiedReply(body) : ((body.get("reply") as CborMap).get("arg") as Uint8Array);
}

const network = await startNetwork();
let nonce = 0;

/** Asks all, some at once; latencies in milliseconds, and requests a second. */
async function askAll(
  what: string,
  asked: readonly Asked[],
  check: (reply: Uint8Array, index: number) => void,
): Promise<void> {
  const latencies: number[] = [];
  let seconds = 0;
  for (let from = 0; from < asked.length; from += AHEAD) {
    const part = asked.slice(from, from + AHEAD);
    const result = await runLoad({
      port: network.port,
      path: (index) => {
        const { kind, effective } = part[index] as Asked;
        return `/api/${kind === "call" ? "v4" : "v3"}/canister/${effective}/${kind}`;
      },
      bodies: part.map((one) => signedEnvelope({ ...one, nonce: nonce++ })),
      concurrency: CONCURRENCY,
      check: (status, body, index) => check(replyOf((part[index] as Asked).kind, status, body), from + index),
    });
    latencies.push(...result.latencies);
    seconds += part.length / result.perSecond;
  }
  latencies.sort((a, b) => a - b);
  const [p50, p99] = [percentile(latencies, 0.5), percentile(latencies, 0.99)];
  console.log(
    `${what.padEnd(32)} ${(asked.length / seconds).toFixed(0).padStart(6)} a second, p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`,
  );
}

/** Of the node's process; null on systems that do not tell of others' memory by files. */
function residentMiB(): number | null {
  if (process.platform !== "linux") return null;
  const status = readFileSync(`/proc/${network.pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
}

try {
  const modules = await fleetModules();
  const moduleOf = (which: number): FleetModule => modules[which % modules.length] as FleetModule;
  const before = residentMiB();
  const ids: string[] = [];
  const near = network.defaultEffectiveCanisterId;
  const make = { kind: "call", canisterId: MANAGEMENT, effective: near } as const;
  const method = "provisional_create_canister_with_cycles";
  const all = Array.from({ length: CANISTERS }, (_, which) => which);
  await askAll(
    `${CANISTERS} canisters made`,
    all.map(() => ({ ...make, method, arg: CREATE })),
    (reply, index) => {
      const [created] = IDL.decode([IDL.Record({ canister_id: IDL.Principal })], reply) as unknown as [
        { readonly canister_id: CandidPrincipal },
      ];
      ids[index] = created.canister_id.toText();
    },
  );
  const idOf = (which: number): string => ids[which] as string;
  // A part at a time: the argument holds the module.
  const perPart = 2_000;
  for (let from = 0; from < CANISTERS; from += perPart) {
    const part = all.slice(from, from + perPart);
    const install = part.map((which) => ({
      ...make,
      effective: idOf(which),
      method: "install_code",
      arg: fleetInstall(moduleOf(which), which, principalFromText(idOf(which))),
    }));
    await askAll(`installed, from ${from}`, install, () => {});
  }
  const added = new Map<number, number>();
  let random = 12_345;
  const order = Array.from({ length: ANSWERS }, () => {
    random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0;
    return random % CANISTERS;
  });
  // Each is asked to add once at a time: the answers of two at once could come in either order.
  const once = [...new Set(order)];
  const calling = (kind: Asked["kind"], which: number): Asked => ({
    ...fleetCall(moduleOf(which), kind === "call" ? "add" : "get"),
    kind,
    canisterId: idOf(which),
    effective: idOf(which),
  });
  const expect = (list: readonly number[]) => (reply: Uint8Array, index: number) => {
    const which = list[index] as number;
    const of = { which, added: added.get(which) ?? 0 };
    if (!isFleetReply(moduleOf(which), reply, of)) throw new Error(`canister ${which} answered otherwise`);
  };
  for (const which of once) added.set(which, 1);
  await askAll(
    "updates in random order",
    once.map((which) => calling("call", which)),
    expect(once),
  );
  await askAll(
    "queries in random order",
    order.map((which) => calling("query", which)),
    expect(order),
  );
  const now = residentMiB();
  if (before !== null && now !== null) {
    const each = ((now - before) * 1024) / CANISTERS;
    console.log(
      `resident: ${now.toFixed(0)} MiB, ${before.toFixed(0)} before; ${each.toFixed(1)} KiB a canister with its pages, instances and code`,
    );
  }
} finally {
  await network.stop();
}
