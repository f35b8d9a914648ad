/**
 * A labelled stand-in for Wasm: canisters whose messages say in their payload what to do. It keeps to the runner's contract
 * (nothing is committed on failure, what a call costs must be in the balance) and counts what ran, so that scheduling, cycles
 * and call contexts can be tested by the thousands.
 */
import { type CanisterId, fromHex, principalKey, utf8, utf8DecodeLossy } from "@orrery/base";
import { sha256 } from "@orrery/crypto";
import type { CanisterState, WasmClosure } from "@orrery/state";
import { liquidBalance } from "../cycles.ts";
import { ErrorCode, userError } from "../error-codes.ts";
import { callCost } from "../fees.ts";
import type { EntryPoint, MessageContext, MessageOutcome, MessageRunner, OutgoingCall } from "../types.ts";

export interface ScriptedCall {
  /** Canister id in hexadecimal; "" is the management canister. */
  readonly to: string;
  readonly method: string;
  readonly cycles: number;
  readonly payload: Script;
  readonly onReply: Script;
  readonly onReject: Script;
  readonly cleanup: boolean;
  readonly timeoutSeconds: number | null;
}

export interface Script {
  readonly accept: number;
  readonly burn: number;
  readonly calls: readonly ScriptedCall[];
  readonly respond: "reply" | "reject" | "nothing";
  readonly trap: boolean;
  readonly instructions: number;
}

export function encodeScript(script: Script): Uint8Array {
  return utf8(JSON.stringify(script));
}

/** Candid of `()`, which management methods without parameters take. */
const NO_ARGUMENT: Uint8Array = Uint8Array.of(0x44, 0x49, 0x44, 0x4c, 0, 0);

const EMPTY: Script = { accept: 0, burn: 0, calls: [], respond: "nothing", trap: false, instructions: 1 };

export class ScriptedRunner implements MessageRunner {
  /** Callbacks made and not yet run, by canister and closure. */
  readonly waiting: Map<string, Script> = new Map();
  /** Callbacks that ran twice, or that nobody made: must stay empty. */
  readonly wrong: string[] = [];
  executions = 0;
  readonly #last = new Map<string, readonly { readonly what: string; readonly outcome: MessageOutcome }[]>();
  #next = 0n;

  /** The same execution again, after its result was lost, comes to the same and makes no callbacks anew. */
  execute(canister: CanisterState, entry: EntryPoint, context: MessageContext): MessageOutcome {
    const id = principalKey(canister.meta.id);
    const closure = "closure" in entry ? `${entry.closure.fun}:${entry.closure.env}` : "";
    const arg = "arg" in entry ? principalKey(entry.arg) : "";
    const what = `${entry.kind}:${closure}:${arg}:${context.time}:${canister.meta.version}`;
    const last = this.#last.get(id) ?? [];
    const same = last.find((one) => one.what === what);
    if (same !== undefined) return same.outcome;
    const outcome = this.#execute(canister, entry, context);
    // A callback and its cleanup are one execution.
    this.#last.set(id, [{ what, outcome }, ...last.slice(0, 1)]);
    return outcome;
  }

  #execute(canister: CanisterState, entry: EntryPoint, context: MessageContext): MessageOutcome {
    this.executions++;
    const script = this.#script(canister, entry);
    const instructions = BigInt(script.instructions);
    const failed = (text: string): MessageOutcome => ({
      error: userError(ErrorCode.CanisterCalledTrap, text),
      instructions,
      effects: null,
      logs: [utf8(text)],
      heapPagesTouched: 0,
    });
    if (script.trap) return failed("scripted trap");
    if (script.respond !== "nothing" && !context.canRespond) return failed("nothing to respond to");
    const accepted = min(BigInt(script.accept), context.cyclesAvailable);
    let balance = liquidBalance(context.subnet, canister.meta) + accepted;
    const calls: OutgoingCall[] = [];
    const sent = new Map<string, number>();
    for (const call of script.calls) {
      const slots = context.requestSlots(fromHex(call.to) as CanisterId) - (sent.get(call.to) ?? 0);
      const payload = call.to === "" ? NO_ARGUMENT : encodeScript(call.payload);
      const cost = callCost(context.subnet, {
        methodNameBytes: call.method.length,
        payloadBytes: payload.length,
        is64: false,
      });
      const price =
        BigInt(call.cycles) + cost.prepaidExecution + cost.prepaidTransmission + cost.transmissionCost;
      if (price > balance || slots <= 0) continue;
      balance -= price;
      sent.set(call.to, (sent.get(call.to) ?? 0) + 1);
      calls.push({
        callee: fromHex(call.to) as CanisterId,
        methodName: call.method,
        payload,
        cycles: BigInt(call.cycles),
        reply: { fun: 0, env: this.#next },
        reject: { fun: 1, env: this.#next },
        cleanup: call.cleanup ? { fun: 2, env: this.#next } : null,
        timeoutSeconds: call.timeoutSeconds,
        ...cost,
      });
      this.waiting.set(`${principalKey(canister.meta.id)}:${this.#next}`, call.onReply);
      this.waiting.set(`${principalKey(canister.meta.id)}:${this.#next}r`, call.onReject);
      this.#next++;
    }
    const burned = balance > 0n ? min(BigInt(script.burn), balance) : 0n;
    return {
      error: null,
      instructions,
      effects: {
        response:
          script.respond === "nothing"
            ? null
            : script.respond === "reply"
              ? { kind: "reply", data: utf8("done") }
              : { kind: "reject", message: "scripted reject" },
        calls,
        cyclesAccepted: accepted,
        cyclesBurned: burned,
        cyclesMinted: 0n,
        cyclesReserved: 0n,
        // Chained, so that the certified tree tells in which order messages ran.
        certifiedData: sha256(canister.meta.certifiedData, utf8(JSON.stringify(script))),
        globalTimer: null,
        accepted: true,
      },
      logs: [],
      heapPagesTouched: 0,
    };
  }

  #script(canister: CanisterState, entry: EntryPoint): Script {
    switch (entry.kind) {
      case "update":
        return JSON.parse(utf8DecodeLossy(entry.arg)) as Script;
      case "reply_callback":
        return this.#callback(canister, entry.closure, "");
      case "reject_callback":
        return this.#callback(canister, entry.closure, "r");
      default:
        return EMPTY;
    }
  }

  /** A callback runs once, as reply or as reject. */
  #callback(canister: CanisterState, closure: WasmClosure, kind: "" | "r"): Script {
    const key = `${principalKey(canister.meta.id)}:${closure.env}`;
    const script = this.waiting.get(key + kind);
    if (script === undefined) this.wrong.push(key);
    this.waiting.delete(key);
    this.waiting.delete(`${key}r`);
    return script ?? EMPTY;
  }

  install(): MessageOutcome {
    const effects = {
      response: null,
      calls: [],
      cyclesAccepted: 0n,
      cyclesBurned: 0n,
      cyclesMinted: 0n,
      cyclesReserved: 0n,
      certifiedData: null,
      globalTimer: null,
      accepted: false,
    };
    return { error: null, instructions: 1_000n, effects, logs: [], heapPagesTouched: 0 };
  }

  commit(): void {}

  inspect(canister: CanisterState, entry: EntryPoint, context: MessageContext): MessageOutcome {
    return this.execute(canister, entry, context);
  }

  evict(): void {}

  compile(uploaded: Uint8Array): ReturnType<MessageRunner["compile"]> {
    const hash = sha256(uploaded);
    const exports = {
      updates: ["run"],
      queries: [],
      compositeQueries: [],
      init: true,
      preUpgrade: false,
      postUpgrade: false,
      heartbeat: false,
      globalTimer: false,
      inspectMessage: false,
      onLowWasmMemory: false,
    };
    const blob = [...hash].map((b) => b.toString(16).padStart(2, "0")).join("");
    const module = {
      blob,
      hash,
      bytes: uploaded.length,
      is64: false,
      globalTypes: [],
      metadata: [],
      exports,
    };
    return { ok: true, value: { module, instructions: 10n, customSectionBytes: 0, memory: null } };
  }
}

function min(a: bigint, b: bigint): bigint {
  if (a < b) return a;
  return b;
}
