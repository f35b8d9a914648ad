/**
 * A labelled stand-in for Wasm: canisters that count. What they know is in their certified data alone, so that every node comes to it from the
 * state and the messages. An update counts, and may call another canister, which counts that it was called.
 */
import { type CanisterId, type CborValue, concatBytes, decodeCbor, u64be } from "@orrery/base";
import { sha256 } from "@orrery/crypto";
import {
  callCost,
  type EntryPoint,
  type MessageContext,
  type MessageOutcome,
  type OutgoingCall,
} from "@orrery/execution";
import type { CanisterState } from "@orrery/state";
import { NO_EFFECTS, ScriptRunner, ScriptWatch } from "../script-runner.ts";

const INSTRUCTIONS = 1_000n;
const CHAIN_BYTES = 8;
/** First byte of an argument. */
const CALLED = 1;

export interface Counters {
  /** Updates that users asked for. */
  readonly updates: bigint;
  /** Calls of other canisters. */
  readonly called: bigint;
  /** Own calls that were answered. */
  readonly answered: bigint;
}

export function countersOf({ certifiedData }: CanisterState["meta"]): Counters {
  const bytes = new Uint8Array(32);
  bytes.set(certifiedData.subarray(0, 32));
  const view = new DataView(bytes.buffer);
  return { updates: view.getBigUint64(0), called: view.getBigUint64(8), answered: view.getBigUint64(16) };
}

/** What a user sends: a number of its own, and whom the canister calls. */
export function counterArgument(number: number, callee: CanisterId | null): Uint8Array {
  return concatBytes(Uint8Array.of(0), u64be(BigInt(number)), callee ?? new Uint8Array(0));
}

const PLAIN_BYTES = 9;

/** Whether a call of another canister follows from the user's message. */
export function isCalling(message: Uint8Array): boolean {
  const content = (decodeCbor(message) as ReadonlyMap<string, CborValue>).get("content");
  const arg = (content as ReadonlyMap<string, CborValue>).get("arg");
  return arg instanceof Uint8Array && arg.length > PLAIN_BYTES;
}

export class CounterRunner extends ScriptRunner {
  constructor() {
    super(new ScriptWatch());
  }

  override execute(
    { meta }: Pick<CanisterState, "meta" | "memory">,
    entry: EntryPoint,
    context: MessageContext,
  ): MessageOutcome {
    const before = countersOf(meta);
    const arg = "arg" in entry ? entry.arg : new Uint8Array(0);
    const isUpdate = entry.kind === "update";
    const isCalled = isUpdate && arg[0] === CALLED;
    const calls = isUpdate && !isCalled && arg.length > PLAIN_BYTES ? [callOn(context, arg)] : [];
    const after: Counters = {
      updates: before.updates + (isUpdate && !isCalled ? 1n : 0n),
      called: before.called + (isCalled ? 1n : 0n),
      answered: before.answered + (entry.kind === "reply_callback" ? 1n : 0n),
    };
    const response =
      entry.kind === "reject_callback"
        ? ({ kind: "reject", message: entry.message } as const)
        : ({ kind: "reply", data: u64be(after.updates) } as const);
    return {
      error: null,
      instructions: INSTRUCTIONS,
      effects: {
        ...NO_EFFECTS,
        response: calls.length > 0 ? null : response,
        calls,
        // Chained, so that the certified tree tells in which order messages ran.
        certifiedData: concatBytes(
          u64be(after.updates),
          u64be(after.called),
          u64be(after.answered),
          sha256(meta.certifiedData, arg).subarray(0, CHAIN_BYTES),
        ),
      },
      logs: [],
      heapPagesTouched: 0,
    };
  }
}

function callOn({ subnet }: MessageContext, arg: Uint8Array): OutgoingCall {
  const callee = arg.subarray(PLAIN_BYTES) as CanisterId;
  const methodName = "run";
  const payload = concatBytes(Uint8Array.of(CALLED), arg.subarray(1, PLAIN_BYTES));
  const sizes = { methodNameBytes: methodName.length, payloadBytes: payload.length, is64: false };
  return {
    callee,
    methodName,
    payload,
    cycles: 0n,
    reply: { fun: 0, env: 0n },
    reject: { fun: 1, env: 0n },
    cleanup: null,
    timeoutSeconds: null,
    ...callCost(subnet, sizes),
  };
}
