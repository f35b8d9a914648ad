/** Requests to canisters of a network over HTTP, whose answers are looked at; how long they take. */
import { readFileSync } from "node:fs";
import { type CborMap, decodeCbor, utf8 } from "@orrery/base";
import { decodeCertificate, listLabels, lookupPath, lookupSubtree } from "@orrery/crypto";
import { type LoadOptions, runLoad } from "./load.ts";
import type { RunningNetwork } from "./network.ts";
import { signedEnvelope } from "./requests.ts";

/** Requests whose bodies are made ahead: envelopes expire. */
const AHEAD = 500;
/** Status of what takes longer than an answer is waited for. */
const ACCEPTED = 202;

export interface Asked {
  readonly kind: "call" | "query";
  readonly canisterId: string;
  /** The canister's id, unless it is the management canister that is asked. */
  readonly effective?: string;
  readonly method: string;
  readonly arg: Uint8Array;
}

export interface AskedResult {
  /** Milliseconds, in the order in which the answers came. */
  readonly latencies: readonly number[];
  readonly seconds: number;
}

/** The reply in a certificate of one request. */
function certifiedReply(body: CborMap): Uint8Array {
  const certificate = decodeCertificate(body.get("certificate") as Uint8Array);
  if (!certificate.ok) throw new Error(certificate.error.message);
  const { tree } = certificate.value;
  const requests = lookupSubtree(tree, [utf8("request_status")]);
  const [id] = requests.kind === "found" ? listLabels(requests.value) : [];
  const reply = lookupPath(tree, [utf8("request_status"), id ?? new Uint8Array(), utf8("reply")]);
  if (reply.kind === "found") return reply.value;
  const why = lookupPath(tree, [utf8("request_status"), id ?? new Uint8Array(), utf8("reject_message")]);
  throw new Error(`rejected: ${why.kind === "found" ? Buffer.from(why.value).toString() : "no reply"}`);
}

function replyOf(kind: Asked["kind"], status: number, bytes: Uint8Array): Uint8Array {
  if (status !== 200) throw new Error(`HTTP ${status}: ${Buffer.from(bytes).toString()}`);
  const body = decodeCbor(bytes) as CborMap;
  if (body.get("status") !== "replied") throw new Error(`rejected: ${String(body.get("reject_message"))}`);
  return kind === "call" ? certifiedReply(body) : ((body.get("reply") as CborMap).get("arg") as Uint8Array);
}

function pathOf({ kind, canisterId, effective }: Asked): string {
  return `/api/${kind === "call" ? "v4" : "v3"}/canister/${effective ?? canisterId}/${kind}`;
}

export class CanisterClient {
  readonly #network: RunningNetwork;
  static #nonce = 0;

  constructor(network: RunningNetwork) {
    this.#network = network;
  }

  /** Asks all, `concurrency` at once; every reply goes to `check`. */
  async ask(
    asked: readonly Asked[],
    concurrency: number,
    check: (reply: Uint8Array, index: number) => void,
  ): Promise<AskedResult> {
    const latencies: number[] = [];
    let seconds = 0;
    for (let from = 0; from < asked.length; from += AHEAD) {
      const part = asked.slice(from, from + AHEAD);
      const result = await runLoad({
        port: this.#network.port,
        path: (index) => pathOf(part[index] as Asked),
        bodies: part.map((one) => signedEnvelope({ ...one, nonce: CanisterClient.#nonce++ })),
        concurrency,
        check: (status, body, index) =>
          check(replyOf((part[index] as Asked).kind, status, body), from + index),
      });
      latencies.push(...result.latencies);
      seconds += part.length / result.perSecond;
    }
    return { latencies, seconds };
  }

  /** Waits for as long as it takes: what is sent again while it is under way is the same request. */
  async one(asked: Asked): Promise<Uint8Array> {
    const bodies = [signedEnvelope({ ...asked, nonce: CanisterClient.#nonce++ })];
    const replies: Uint8Array[] = [];
    const check: LoadOptions["check"] = (status, body) => {
      if (status !== ACCEPTED) replies.push(Uint8Array.from(replyOf(asked.kind, status, body)));
    };
    while (replies.length === 0)
      await runLoad({ port: this.#network.port, path: pathOf(asked), bodies, concurrency: 1, check });
    return replies[0] as Uint8Array;
  }
}

/** Memory of a network's process in MiB; null on systems that do not tell of others' memory by files. */
export function residentMiB({ pid }: RunningNetwork): number | null {
  if (process.platform !== "linux") return null;
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
}
