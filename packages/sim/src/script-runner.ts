/**
 * A labelled stand-in for Wasm in simulations of whole networks: canisters whose messages say in their payload what to do. It
 * keeps to the runner's contract and watches what a canister may rely on: every callback runs once, requests of a pair come in the
 * order in which they were sent.
 */
import {
  assert,
  type CanisterId,
  fromHex,
  type PrincipalKey,
  principalKey,
  utf8,
  utf8DecodeLossy,
} from "@orrery/base";
import { sha256 } from "@orrery/crypto";
import {
  callCost,
  type EntryPoint,
  ErrorCode,
  liquidBalance,
  type MessageContext,
  type MessageOutcome,
  type MessageRunner,
  type OutgoingCall,
  userError,
} from "@orrery/execution";
import type { CanisterState, WasmClosure } from "@orrery/state";

/** What a message does when it runs. */
export interface Script {
  readonly accept: number;
  readonly calls: readonly ScriptCall[];
  /** Nothing: the answer is left to a callback, or to the rule for those who never answer. */
  readonly respond: "reply" | "reject" | "nothing";
  readonly trap: boolean;
}

export interface ScriptCall {
  /** Canister id in hexadecimal; "" is the management canister. */
  readonly to: PrincipalKey;
  readonly method: string;
  readonly cycles: number;
  /** Null: guaranteed response. */
  readonly timeoutSeconds: number | null;
  /** For the callee; null with `arg`: the management canister's argument as it is. */
  readonly script: Script | null;
  /** In hexadecimal. */
  readonly arg: string;
  /** Runs when the answer comes, whichever it is. */
  readonly after: Script;
}

interface Envelope {
  /** Number of the request among those of its sender to its receiver. */
  readonly number: number;
  readonly script: Script;
}

const INSTRUCTIONS = 1_000n;
const EMPTY: Script = { accept: 0, calls: [], respond: "nothing", trap: false };
const INGRESS = -1;

export function encodeScript(script: Script, number: number = INGRESS): Uint8Array {
  const envelope: Envelope = { number, script };
  return utf8(JSON.stringify(envelope));
}

/** What all runners of a network have seen. */
export class ScriptWatch {
  /** Callbacks that are awaited, by canister and number. */
  readonly waiting: Map<string, Script> = new Map();
  /** What must not happen. */
  readonly wrong: string[] = [];
  readonly #sent = new Map<string, number>();
  readonly #received = new Map<string, number>();
  executions = 0;
  callbacks = 0;
  #nextClosure = 0;

  send(from: CanisterId, to: PrincipalKey): number {
    const pair = `${principalKey(from)}>${to}`;
    const number = this.#sent.get(pair) ?? 0;
    this.#sent.set(pair, number + 1);
    return number;
  }

  receive(from: Uint8Array, to: CanisterId, number: number): void {
    const pair = `${principalKey(from)}>${principalKey(to)}`;
    const last = this.#received.get(pair) ?? -1;
    if (number <= last) this.wrong.push(`${pair}: request ${number} after ${last}`);
    this.#received.set(pair, number);
  }

  wait(canister: CanisterId, after: Script): bigint {
    const closure = this.#nextClosure++;
    this.waiting.set(`${principalKey(canister)}:${closure}`, after);
    return BigInt(closure);
  }

  answer(canister: CanisterId, closure: WasmClosure): Script {
    const key = `${principalKey(canister)}:${closure.env}`;
    const script = this.waiting.get(key);
    if (script === undefined) this.wrong.push(`${key}: answered twice, or never asked`);
    this.waiting.delete(key);
    this.callbacks++;
    return script ?? EMPTY;
  }
}

export class ScriptRunner implements MessageRunner {
  readonly #watch: ScriptWatch;

  constructor(watch: ScriptWatch) {
    this.#watch = watch;
  }

  execute(
    canister: Pick<CanisterState, "meta" | "memory">,
    entry: EntryPoint,
    context: MessageContext,
  ): MessageOutcome {
    this.#watch.executions++;
    const { id } = canister.meta;
    const script = this.#script(id, entry, context);
    if (script.trap || (script.respond !== "nothing" && !context.canRespond)) return trapped();
    const accepted = minOf(BigInt(script.accept), context.cyclesAvailable);
    const calls = this.#calls(canister, context, script, accepted);
    return {
      error: null,
      instructions: INSTRUCTIONS,
      effects: {
        ...NO_EFFECTS,
        response: responseOf(script),
        calls,
        cyclesAccepted: accepted,
        // Chained, so that the certified tree tells in which order messages ran.
        certifiedData: sha256(canister.meta.certifiedData, utf8(JSON.stringify(script))),
      },
      logs: [],
      heapPagesTouched: 0,
    };
  }

  #script(id: CanisterId, entry: EntryPoint, context: MessageContext): Script {
    if (entry.kind === "reply_callback" || entry.kind === "reject_callback")
      return this.#watch.answer(id, entry.closure);
    if (entry.kind !== "update") return EMPTY;
    const { number, script } = JSON.parse(utf8DecodeLossy(entry.arg)) as Envelope;
    if (number !== INGRESS) this.#watch.receive(context.caller, id, number);
    return script;
  }

  /** Calls as far as the balance and the queues allow. */
  #calls(
    canister: Pick<CanisterState, "meta">,
    context: MessageContext,
    script: Script,
    accepted: bigint,
  ): readonly OutgoingCall[] {
    const { id } = canister.meta;
    let balance = liquidBalance(context.subnet, canister.meta) + accepted;
    const slots = new Map<PrincipalKey, number>();
    const calls: OutgoingCall[] = [];
    for (const call of script.calls) {
      const callee = fromHex(call.to) as CanisterId;
      const free = slots.get(call.to) ?? context.requestSlots(callee);
      const payload =
        call.script === null
          ? fromHex(call.arg)
          : encodeScript(call.script, free > 0 ? this.#watch.send(id, call.to) : INGRESS);
      const cost = callCost(context.subnet, {
        methodNameBytes: call.method.length,
        payloadBytes: payload.length,
        is64: false,
      });
      const price =
        BigInt(call.cycles) + cost.prepaidExecution + cost.prepaidTransmission + cost.transmissionCost;
      if (free <= 0 || price > balance) continue;
      balance -= price;
      slots.set(call.to, free - 1);
      const env = this.#watch.wait(id, call.after);
      calls.push({
        callee,
        methodName: call.method,
        payload,
        cycles: BigInt(call.cycles),
        reply: { fun: 0, env },
        reject: { fun: 1, env },
        cleanup: null,
        timeoutSeconds: call.timeoutSeconds,
        ...cost,
      });
    }
    return calls;
  }

  install(): MessageOutcome {
    return {
      error: null,
      instructions: INSTRUCTIONS,
      effects: NO_EFFECTS,
      logs: [],
      heapPagesTouched: 0,
    };
  }

  commit(): void {}

  inspect(): MessageOutcome {
    return { ...this.install(), effects: { ...NO_EFFECTS, accepted: true } };
  }

  evict(): void {}

  compile(uploaded: Uint8Array): ReturnType<MessageRunner["compile"]> {
    const hash = sha256(uploaded);
    const module = {
      blob: principalKey(hash),
      hash,
      bytes: uploaded.length,
      is64: false,
      globalTypes: [],
      metadata: [],
      exports: {
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
      },
    };
    return { ok: true, value: { module, instructions: INSTRUCTIONS, customSectionBytes: 0, memory: null } };
  }
}

export const NO_EFFECTS = {
  response: null,
  calls: [],
  cyclesAccepted: 0n,
  cyclesBurned: 0n,
  cyclesMinted: 0n,
  cyclesReserved: 0n,
  certifiedData: null,
  globalTimer: null,
  accepted: false,
} as const;

function responseOf(
  script: Script,
): { kind: "reply"; data: Uint8Array } | { kind: "reject"; message: string } | null {
  if (script.respond === "reply") return { kind: "reply", data: utf8("done") };
  return script.respond === "reject" ? { kind: "reject", message: "as the script says" } : null;
}

function trapped(): MessageOutcome {
  return {
    error: userError(ErrorCode.CanisterCalledTrap, "as the script says"),
    instructions: INSTRUCTIONS,
    effects: null,
    logs: [],
    heapPagesTouched: 0,
  };
}

function minOf(a: bigint, b: bigint): bigint {
  assert(a >= 0n && b >= 0n, "cycles are never negative");
  return a < b ? a : b;
}
