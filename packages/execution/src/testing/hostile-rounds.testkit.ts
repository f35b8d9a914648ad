/** What hostile messages are judged by: the state that must be as it was, the answer, its code and its words. */
import assert from "node:assert/strict";
import { toHex } from "@orrery/base";
import { fullStateHash, type IngressStatus, type ReplicatedState } from "@orrery/state";
import type { TestSubnet } from "./long.testkit.ts";

export const CYCLES: bigint = 10n ** 18n;
export const ROUNDS_MAX = 400;

/** Everything of the state that a message which came to nothing must leave as it was: all but time, price and what the user is told. */
export function residue(subnet: TestSubnet): string {
  const { state, arena } = subnet;
  const canisters = [...state.canisters].map(
    ([key, canister]) =>
      [
        key,
        {
          ...canister,
          meta: { ...canister.meta, cycles: 0n, logBytes: 0 },
          logs: [],
          nextLogIdx: 0n,
          consumed: new Map(),
          priority: 0,
          priorityCredit: 0,
          chargedUntil: 0n,
          nextContextId: 0,
          nextCallbackId: 0,
          inputTurn: 0,
          lastSender: undefined,
        },
      ] as const,
  );
  const calm = {
    ...state,
    canisters: new Map(canisters),
    ingressHistory: new Map(),
    height: 0,
    time: 0n,
    randomness: new Uint8Array(32),
    nodeMetrics: [],
    consumedCyclesTotal: 0n,
    updateTransactionsTotal: 0n,
  } as unknown as ReplicatedState;
  return toHex(fullStateHash(calm, arena));
}

/** Rounds until the request is answered. */
export function settled(subnet: TestSubnet, id: Uint8Array): IngressStatus {
  for (let i = 0; i < ROUNDS_MAX; i++) {
    const status = subnet.status(id);
    if (status !== null && status.kind !== "received" && status.kind !== "processing") return status;
    subnet.round();
  }
  throw new Error(`not answered after ${ROUNDS_MAX} rounds`);
}

export function assertRejected(status: IngressStatus, errorCode: string, ...texts: readonly string[]): void {
  assert.equal(
    status.kind,
    "rejected",
    JSON.stringify(status, (_, v) => (typeof v === "bigint" ? `${v}` : v)),
  );
  if (status.kind !== "rejected") return;
  assert.equal(status.errorCode, errorCode, status.message);
  assert.equal(status.code, Number(errorCode[3]));
  for (const text of texts) assert.ok(status.message.includes(text), status.message);
}
