/**
 * Every error code of the replica, provoked through a batch, a query or an inspection, with its reject code and text; or why it
 * cannot come up here. The table is complete by its type.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { IDL } from "@icp-sdk/core/candid";
import { Principal as CandidPrincipal } from "@icp-sdk/core/principal";
import { type CanisterId, canisterIdFromIndex, utf8, utf8DecodeLossy } from "@orrery/base";
import type { IngressStatus } from "@orrery/state";
import { ErrorCode, type ErrorCodeName, errorCodeText } from "./error-codes.ts";
import { INGRESS_QUEUE_CAPACITY, STOP_TIMEOUT_NS } from "./limits.ts";
import type { ViewQueryOutcome } from "./query/view.ts";
import { FAILING, NO_CALLBACK } from "./testing/failing.testkit.ts";
import { createArg, encode, TestSubnet, type TestSubnetOptions } from "./testing/subnet.testkit.ts";
import { STRANGER, Watched } from "./testing/watched.testkit.ts";

interface Told {
  /** The reject code; null where none is told: before submission the HTTP interface derives it. */
  readonly code: number | null;
  readonly errorCode: string;
  readonly message: string;
}

type Row =
  | { readonly text: RegExp; readonly provoke: () => Told }
  /** Why nothing here answers with it. */
  | { readonly never: string };

const CONTROLLER_OF_NOTHING = canisterIdFromIndex(5n);
const RICH = 10n ** 15n;
const SECOND = 1_000_000_000n;

function told(status: IngressStatus): Told {
  assert.equal(
    status.kind,
    "rejected",
    JSON.stringify(status, (_, v) => (typeof v === "bigint" ? `${v}` : v)),
  );
  return status as IngressStatus & { kind: "rejected" };
}

function world(options: TestSubnetOptions = {}, code = FAILING): { subnet: TestSubnet; id: CanisterId } {
  const subnet = new TestSubnet(options);
  return { subnet, id: subnet.installed(code, { cycles: RICH }) };
}

/** The reject of a method called by a user. */
function update(method: string, options: TestSubnetOptions = {}): Told {
  const { subnet, id } = world(options);
  return told(subnet.call({ canisterId: id, method }));
}

function toldByQuery(outcome: Extract<ViewQueryOutcome, { status: "rejected" }>): Told {
  const { rejectCode: code, errorCode, rejectMessage } = outcome;
  return { code, errorCode, message: rejectMessage.replace(/^IC\d{4}: /, "") };
}

function query(method: string, arg: Uint8Array = new Uint8Array(0), options = {}): Told {
  const watched = new Watched(() => {}, options);
  const id = watched.subnet.installed(FAILING, { cycles: RICH });
  const outcome = watched.query(id, method, arg);
  assert.equal(outcome.status, "rejected");
  return outcome.status === "rejected" ? toldByQuery(outcome) : { code: null, errorCode: "", message: "" };
}

/** What a canister that calls `callee` is told; its text may carry the code. */
function forwarded(
  { subnet, id }: ReturnType<typeof world>,
  callee: Uint8Array,
  call: { readonly method: string; readonly payload?: Uint8Array; readonly briefly?: boolean },
): { readonly code: number; readonly text: string } {
  const { method, payload = new Uint8Array(0), briefly = false } = call;
  const arg = new Uint8Array(44 + payload.length);
  arg.set(callee);
  arg[10] = callee.length;
  arg[11] = method.length;
  arg.set(utf8(method), 12);
  arg.set(payload, 44);
  const name = briefly ? "forward_briefly" : "forward";
  const request = subnet.submit({ canisterId: id, method: name, arg });
  if (briefly) {
    // What the callee waits for never comes.
    subnet.state.pendingManagement.splice(0);
    subnet.round([], 3n * SECOND);
  }
  const status = subnet.settle(request);
  assert.equal(status.kind, "replied");
  const reply = status.kind === "replied" ? status.reply : new Uint8Array(0);
  return { code: reply[0] ?? 0, text: utf8DecodeLossy(reply.subarray(1)) };
}

/** A reject with a code in its text, as an error. */
function coded({ code, text }: { readonly code: number; readonly text: string }): Told {
  const [, errorCode = "", message = ""] = /^(IC\d{4}): (.*)$/s.exec(text) ?? [];
  return { code, errorCode, message };
}

const IdRecord = { canister_id: IDL.Principal };
const Settings = IDL.Record({
  memory_allocation: IDL.Opt(IDL.Nat),
  compute_allocation: IDL.Opt(IDL.Nat),
  reserved_cycles_limit: IDL.Opt(IDL.Nat),
  wasm_memory_limit: IDL.Opt(IDL.Nat),
  minimum_incoming_canister_call_cycles: IDL.Opt(IDL.Nat),
});

function settings(subnet: TestSubnet, id: CanisterId, given: Record<string, bigint>): IngressStatus {
  const values = Object.fromEntries(
    Settings._fields.map(([name]) => [name, given[name] === undefined ? [] : [given[name]]]),
  );
  const record = { canister_id: CandidPrincipal.fromUint8Array(id), settings: values };
  return subnet.call({
    method: "update_settings",
    arg: encode([IDL.Record({ ...IdRecord, settings: Settings })], [record]),
  });
}

/** A subnet on which little memory is left. */
function filled(): { subnet: TestSubnet; id: CanisterId } {
  const { subnet, id } = world();
  const filler = subnet.create({ cycles: 10n ** 24n });
  allocate(subnet, filler, (2n << 40n) - (10n << 30n) - (16n << 20n));
  return { subnet, id };
}

/** Allocates without asking, since no call may take that much at once. */
function allocate(subnet: TestSubnet, id: CanisterId, memoryAllocation: bigint): void {
  const { meta } = subnet.canister(id);
  meta.settings = { ...meta.settings, memoryAllocation };
  subnet.reload(subnet.runner);
}

function waiting(options: TestSubnetOptions = {}): { subnet: TestSubnet; id: CanisterId } {
  const made = world(options);
  const { subnet, id } = made;
  subnet.submit({ canisterId: id, method: "wait" });
  // Kept from being answered, so that the call context stays open.
  subnet.state.pendingManagement.splice(0);
  return made;
}

const ADMINISTERED: TestSubnetOptions = { subnet: { admins: [CONTROLLER_OF_NOTHING] } };

const SHORT_ROUNDS: TestSubnetOptions = {
  limits: { instructionsPerRound: 500_000n, instructionsPerMessage: 1_000_000n, overheadPerMessage: 0n },
};

/** A message that waits because the one before it took the round. */
function kept(subnet: TestSubnet, id: CanisterId): Uint8Array {
  const long = subnet.envelope({ canisterId: id, method: "spin" });
  const next = subnet.envelope({ canisterId: id, method: "fine" });
  subnet.round([long.bytes, next.bytes]);
  assert.equal(subnet.status(next.id)?.kind, "received");
  return next.id;
}

const SnapshotArgs = IDL.Record({ ...IdRecord, snapshot_id: IDL.Vec(IDL.Nat8) });
const UploadDataArgs = IDL.Record({
  ...IdRecord,
  snapshot_id: IDL.Vec(IDL.Nat8),
  kind: IDL.Variant({ wasm_module: IDL.Record({ offset: IDL.Nat64 }) }),
  chunk: IDL.Vec(IDL.Nat8),
});

const UNUSED = "the replica's enumeration has it, and nothing there answers with it any more";
const FROM = "^Error from Canister [a-z0-9-]+: ";

const TABLE: Readonly<Record<ErrorCodeName, Row>> = {
  SubnetOversubscribed: {
    text: /^Canister requested 1024\.00 GiB of memory but only \d+\.\d\d MiB are available in the subnet\.\nTry moving to another subnet\. See/,
    provoke: () => {
      const { subnet, id } = filled();
      return told(settings(subnet, id, { memory_allocation: 1n << 40n }));
    },
  },
  MaxNumberOfCanistersReached: {
    text: /^Subnet [a-z0-9-]+ has reached the allowed canister limit of 1 canisters\. Retry creating the canister\.\nTry creating/,
    provoke: () => {
      const { subnet } = world({ limits: { canistersPerSubnet: 1 } });
      const method = "provisional_create_canister_with_cycles";
      return told(subnet.call({ method, arg: createArg({}) }));
    },
  },
  CanisterQueueFull: {
    text: /^Maximum queue capacity 5000 reached$/,
    provoke: () => {
      const { subnet, id } = world();
      const messages = Array.from({ length: INGRESS_QUEUE_CAPACITY + 1 }, () =>
        subnet.envelope({ canisterId: id, method: "fine" }),
      );
      subnet.round(messages.map(({ bytes }) => bytes));
      return told(subnet.status((messages.at(-1) as { id: Uint8Array }).id) as IngressStatus);
    },
  },
  IngressMessageTimeout: {
    text: /^Ingress message [0-9a-f]{64} timed out waiting to start executing\.$/,
    provoke: () => {
      const { subnet, id } = world(SHORT_ROUNDS);
      const request = kept(subnet, id);
      subnet.round([], 241n * SECOND);
      return told(subnet.status(request) as IngressStatus);
    },
  },
  CanisterQueueNotEmpty: {
    text: /^Canister [a-z0-9-]+ has messages in its queues and cannot be deleted now\. Please retry after some time\.\nWait until/,
    provoke: () => {
      const { subnet, id } = world();
      subnet.manage("stop_canister", id);
      const { queues } = subnet.canister(id);
      const payload = { kind: "reply", data: new Uint8Array(0) } as const;
      // A canister stops once it waits for nothing; a late answer of a best-effort call may still come.
      queues.responses.push({ kind: "response", from: id, callbackId: 99, payload, refund: 0n });
      const { bytes, id: request } = subnet.manageEnvelope("delete_canister", id);
      subnet.round([bytes]);
      return told(subnet.status(request) as IngressStatus);
    },
  },
  IngressHistoryFull: { never: "a full history forgets the oldest answers instead of refusing messages" },
  CanisterIdAlreadyExists: {
    text: /^Unsuccessful canister creation: canister id [a-z0-9-]+ already exists\./,
    provoke: () => {
      const { subnet, id } = world();
      const method = "provisional_create_canister_with_cycles";
      return told(subnet.call({ method, arg: createArg({ specifiedId: id }) }));
    },
  },
  StopCanisterRequestTimeout: {
    text: /^Stop canister request timed out$/,
    provoke: () => {
      const { subnet, id } = waiting();
      const { bytes, id: request } = subnet.manageEnvelope("stop_canister", id);
      subnet.round([bytes]);
      subnet.round([], STOP_TIMEOUT_NS);
      return told(subnet.status(request) as IngressStatus);
    },
  },
  CanisterOutOfCycles: {
    text: /^Canister [a-z0-9-]+ is out of cycles: please top up the canister with at least \d+ additional cycles$/,
    provoke: () => {
      const { subnet, id } = world();
      subnet.canister(id).meta.cycles = 1_000_000n;
      return told(subnet.call({ canisterId: id, method: "fine" }));
    },
  },
  CertifiedStateUnavailable: {
    never: "a node answers only once it has a certified state; until then it says 503",
  },
  CanisterInstallCodeRateLimited: {
    text: /^Canister [a-z0-9-]+ is rate limited because it executed too many instructions in the previous install_code messages\. Please retry installation after several minutes\.\nRetry the/,
    provoke: () => {
      const { subnet, id } = world({ limits: { installDebitPerRound: 1n } });
      return told(subnet.install(id, "(module)", { mode: { reinstall: null } }));
    },
  },
  CanisterHeapDeltaRateLimited: { never: "heaps are written in place; there is no delta to ration" },
  CanisterNotFound: {
    text: /^Canister [a-z0-9-]+ not found$/,
    provoke: () => {
      const { subnet } = world();
      return told(subnet.call({ canisterId: canisterIdFromIndex(77n), method: "fine" }));
    },
  },
  CanisterSnapshotNotFound: {
    text: /^Could not find the snapshot ID [a-z0-9-]+ for canister [a-z0-9-]+\.\nUse the `list_canister_snapshot` API/,
    provoke: () => {
      const { subnet, id } = world();
      const snapshot = {
        canister_id: CandidPrincipal.fromUint8Array(id),
        snapshot_id: [...new Uint8Array(8), ...id],
      };
      return told(subnet.call({ method: "load_canister_snapshot", arg: encode([SnapshotArgs], [snapshot]) }));
    },
  },
  InsufficientMemoryAllocation: { never: UNUSED },
  InsufficientCyclesForCreateCanister: {
    text: /^Creating a canister requires a fee of 500000000000 that is deducted from the canister's initial balance but only 0 cycles were received with the create_canister request\.\nTry sending/,
    provoke: () =>
      coded(
        forwarded(world(), new Uint8Array(0), {
          method: "create_canister",
          payload: encode([IDL.Record({})], [{}]),
        }),
      ),
  },
  SubnetNotFound: {
    never: "what names a subnet that is not there is rejected in routing, without an error code",
  },
  CanisterNotHostedBySubnet: {
    text: /^Unsuccessful validation of specified ID: Specified CanisterId [a-z0-9-]+ is not hosted by subnet [a-z0-9-]+\./,
    provoke: () => {
      const { subnet } = world();
      const method = "provisional_create_canister_with_cycles";
      return told(subnet.call({ method, arg: createArg({ specifiedId: canisterIdFromIndex(1n << 50n) }) }));
    },
  },
  CanisterRejectedMessage: {
    text: /^Error from Canister [a-z0-9-]+: Canister rejected the message$/,
    provoke: () => {
      const watched = new Watched();
      const canisterId = watched.subnet.installed(FAILING, { cycles: RICH });
      const { bytes } = watched.subnet.envelope({ canisterId, method: "refused" });
      const error = watched.follow().inspect(bytes);
      assert.ok(error !== null);
      return { code: null, errorCode: errorCodeText(error.code), message: error.message };
    },
  },
  UnknownManagementMessage: { never: UNUSED },
  InvalidManagementPayload: {
    text: /^Error decoding candid: /,
    provoke: () => told(world().subnet.call({ method: "update_settings", arg: utf8("?") })),
  },
  CanisterSnapshotImmutable: {
    text: /^Only canister snapshots created by metadata upload can be mutated\./,
    provoke: () => {
      const { subnet, id } = world();
      const taken = subnet.manage("take_canister_snapshot", id);
      assert.equal(taken.kind, "replied", JSON.stringify(taken));
      const [{ id: snapshot_id }] = IDL.decode(
        [IDL.Record({ id: IDL.Vec(IDL.Nat8) })],
        (taken as { reply: Uint8Array }).reply,
      ) as unknown as [{ id: Uint8Array }];
      const canister_id = CandidPrincipal.fromUint8Array(id);
      const data = { canister_id, snapshot_id, kind: { wasm_module: { offset: 0n } }, chunk: [1] };
      const method = "upload_canister_snapshot_data";
      return told(subnet.call({ method, arg: encode([UploadDataArgs], [data]) }));
    },
  },
  InvalidSubnetAdmin: {
    text: /^Only the admins of subnet [a-z0-9-]+ can list its canisters\.\nSender's ID: 2vxsx-fae$/,
    provoke: () => {
      const watched = new Watched(() => {}, ADMINISTERED);
      const outcome = watched.query(new Uint8Array(0) as CanisterId, "list_canisters", encode([], []));
      assert.ok(outcome.status === "rejected");
      return toldByQuery(outcome);
    },
  },
  CanisterTrapped: {
    text: new RegExp(`${FROM}Canister trapped: unreachable\\.\nConsider gracefully handling failures`),
    provoke: () => update("unreachable"),
  },
  CanisterCalledTrap: {
    text: new RegExp(`${FROM}Canister called \`ic0\\.trap\` with message: 'bang'\\.\nConsider gracefully`),
    provoke: () => update("trap"),
  },
  CanisterContractViolation: {
    text: new RegExp(
      `${FROM}Canister violated contract: ic0\\.msg_reply: the call is already replied\\.\nIf you are`,
    ),
    provoke: () => update("twice"),
  },
  CanisterInvalidWasm: {
    text: new RegExp(`${FROM}Canister's Wasm module is not valid: `),
    provoke: () => {
      const { subnet } = world();
      return told(subnet.install(subnet.create({ cycles: RICH }), utf8("not wasm")));
    },
  },
  CanisterDidNotReply: {
    text: /^Canister [a-z0-9-]+ did not reply to the call$/,
    provoke: () => update("silent"),
  },
  CanisterOutOfMemory: {
    text: new RegExp(`${FROM}Canister cannot grow its memory usage\\.\\.\nCheck the canister's memory usage`),
    provoke: () => {
      const { subnet, id } = filled();
      return told(subnet.call({ canisterId: id, method: "grow" }));
    },
  },
  CanisterStopped: {
    text: /^Canister [a-z0-9-]+ is stopped$/,
    provoke: () => {
      const { subnet, id } = world();
      subnet.manage("stop_canister", id);
      return told(subnet.call({ canisterId: id, method: "fine" }));
    },
  },
  CanisterStopping: {
    text: /^Canister [a-z0-9-]+ is stopping$/,
    provoke: () => {
      const { subnet, id } = waiting();
      subnet.round([subnet.manageEnvelope("stop_canister", id).bytes]);
      return told(subnet.call({ canisterId: id, method: "fine" }));
    },
  },
  CanisterNotStopped: {
    text: /^Canister [a-z0-9-]+ must be stopped before it is deleted\.\nStop the canister before deleting it\. See/,
    provoke: () => {
      const { subnet, id } = world();
      return told(subnet.manage("delete_canister", id));
    },
  },
  CanisterStoppingCancelled: {
    text: /^Canister [a-z0-9-]+'s stop request was cancelled$/,
    provoke: () => {
      const { subnet, id } = waiting();
      const stop = subnet.manageEnvelope("stop_canister", id);
      subnet.round([stop.bytes]);
      subnet.manage("start_canister", id);
      return told(subnet.status(stop.id) as IngressStatus);
    },
  },
  CanisterInvalidController: {
    text: /^Only the controllers of the canister [a-z0-9-]+ can control it\.\nCanister's controllers: 2vxsx-fae\nSender's ID: em77e-bvlzu-aq\nExecute this call from/,
    provoke: () => {
      const { subnet, id } = world();
      return told(subnet.manage("uninstall_code", id, STRANGER));
    },
  },
  CanisterFunctionNotFound: {
    text: new RegExp(
      `${FROM}Canister requested to invoke a non-existent Wasm function 3 from table 0\\.\nIf you are`,
    ),
    provoke: () => {
      const { subnet, id } = world({}, NO_CALLBACK);
      return told(subnet.call({ canisterId: id, method: "bad_callback" }));
    },
  },
  CanisterNonEmpty: {
    text: /^Canister [a-z0-9-]+ cannot be installed because the canister is not empty\. Try installing with mode='reinstall' instead\.\nCheck that/,
    provoke: () => {
      const { subnet, id } = world();
      return told(subnet.install(id, FAILING));
    },
  },
  QueryCallGraphLoopDetected: { never: "loops end at the depth of the call graph, as in today's replica" },
  InsufficientCyclesInCall: {
    text: /Canister requires at least 5 cycles to be attached to a call, but only 0 were attached/,
    provoke: () => {
      const made = world();
      const callee = made.subnet.installed(FAILING, { cycles: RICH });
      settings(made.subnet, callee, { minimum_incoming_canister_call_cycles: 5n });
      return coded(forwarded(made, callee, { method: "fine" }));
    },
  },
  CanisterWasmEngineError: {
    // Its other failures end the node: a wrong state must not be signed.
    text: new RegExp(
      `${FROM}Canister encountered a Wasm engine error: Failed to instantiate module: ` +
        "wasm trap: undefined element: out of bounds table access$",
    ),
    provoke: () => {
      const subnet = new TestSubnet();
      const code = "(module (table 1 funcref) (elem (i32.const 1) $f) (func $f))";
      return told(subnet.install(subnet.create({ cycles: RICH }), code));
    },
  },
  CanisterInstructionLimitExceeded: {
    text: new RegExp(
      `${FROM}Canister exceeded the limit of 1000000 instructions for single message execution\\.\\.\nTry`,
    ),
    provoke: () => update("spin", { limits: { instructionsPerMessage: 1_000_000n } }),
  },
  CanisterMemoryAccessLimitExceeded: {
    text: new RegExp(
      `${FROM}Canister exceeded memory access limits: Exceeded the limit for the number of accessed pages`,
    ),
    provoke: () => query("touch_much"),
  },
  QueryCallGraphTooDeep: {
    text: /^Composite query calls exceeded the maximum call depth\.$/,
    provoke: () => query("again"),
  },
  QueryCallGraphTotalInstructionLimitExceeded: {
    text: /^Composite query calls exceeded the instruction limit\.$/,
    provoke: () => query("many"),
  },
  CompositeQueryCalledInReplicatedMode: {
    text: /^Composite query cannot be called in replicated mode$/,
    provoke: () => update("again"),
  },
  QueryTimeLimitExceeded: {
    text: /^Composite query call exceeded the time limit\.$/,
    provoke: () => query("many", new Uint8Array(0), { startTimer: () => () => true }),
  },
  QueryCallGraphInternal: { never: "stands for bugs of the replica" },
  InsufficientCyclesInComputeAllocation: {
    text: /^Cannot increase compute allocation to 50% due to insufficient cycles\. At least \d+ additional cycles are required\.\nTop up/,
    provoke: () => {
      const { subnet, id } = world();
      return told(settings(subnet, id, { compute_allocation: 50n }));
    },
  },
  InsufficientCyclesInMemoryAllocation: {
    text: /^Cannot increase memory allocation to 500\.00 GiB due to insufficient cycles\. At least \d+ additional cycles are required\.\nTop up/,
    provoke: () => {
      const { subnet } = world();
      const id = subnet.create({ cycles: 10n ** 13n });
      return told(settings(subnet, id, { memory_allocation: 500n << 30n }));
    },
  },
  InsufficientCyclesInMemoryGrow: {
    text: new RegExp(
      `${FROM}Canister cannot grow memory by 20971520 bytes due to insufficient cycles\\. At least \\d+ add`,
    ),
    provoke: () => {
      const { subnet, id } = world();
      const { meta } = subnet.canister(id);
      meta.settings = { ...meta.settings, freezingThreshold: 10n ** 12n };
      meta.cycles = 10n ** 15n;
      return told(subnet.call({ canisterId: id, method: "grow" }));
    },
  },
  ReservedCyclesLimitExceededInMemoryAllocation: {
    text: /^Cannot increase memory allocation to 400\.00 GiB due to its reserved cycles limit\. The current limit \(5000000000000\) would be exceeded by \d+\.\nTry increasing/,
    provoke: () => {
      const { subnet } = world();
      const id = subnet.create({ cycles: 10n ** 18n });
      return told(settings(subnet, id, { memory_allocation: 400n << 30n }));
    },
  },
  ReservedCyclesLimitExceededInMemoryGrow: {
    text: new RegExp(
      `${FROM}Canister cannot grow memory by 20971520 bytes due to its reserved cycles limit\\. The current limit \\(5000000000000\\) would be exceeded by \\d+\\.\\.\nTry`,
    ),
    provoke: () => {
      const { subnet, id } = filled();
      subnet.canister(id).meta.reservedCycles = 5_000_000_000_000n - 1n;
      const filler = [...subnet.state.canisters.values()].find(
        (one) => one.meta.settings.memoryAllocation > 0n,
      );
      assert.ok(filler !== undefined);
      allocate(subnet, filler.meta.id, 3n << 39n);
      return told(subnet.call({ canisterId: id, method: "grow" }));
    },
  },
  InsufficientCyclesInMessageMemoryGrow: {
    never: "a call for whose response a canister cannot pay is refused by call_perform's answer 2",
  },
  CanisterMethodNotFound: {
    text: new RegExp(`${FROM}Canister has no update method 'nothing'\\.\\.\nCheck that the method`),
    provoke: () => update("nothing"),
  },
  CanisterWasmModuleNotFound: {
    text: new RegExp(
      `${FROM}Attempted to execute a message, but the canister contains no Wasm module\\.\\.\nPlease install`,
    ),
    provoke: () => {
      const { subnet } = world();
      return told(subnet.call({ canisterId: subnet.create(), method: "fine" }));
    },
  },
  CanisterAlreadyInstalled: { never: UNUSED },
  CanisterWasmMemoryLimitExceeded: {
    text: new RegExp(
      `${FROM}Canister exceeded its current Wasm memory limit of 1048576 bytes\\. The peak Wasm memory usage was 21102592 bytes\\.`,
    ),
    provoke: () => {
      const { subnet, id } = world();
      settings(subnet, id, { wasm_memory_limit: 1_048_576n });
      return told(subnet.call({ canisterId: id, method: "grow" }));
    },
  },
  ReservedCyclesLimitIsTooLow: {
    text: /^Cannot set the reserved cycles limit 1 below the reserved cycles balance of the canister 7\./,
    provoke: () => {
      const { subnet, id } = world();
      subnet.canister(id).meta.reservedCycles = 7n;
      return told(settings(subnet, id, { reserved_cycles_limit: 1n }));
    },
  },
  CanisterInvalidControllerOrSubnetAdmin: {
    text: /^Only the controllers of the canister [a-z0-9-]+ and subnet admins can control it\.\n/,
    provoke: () => {
      const { subnet, id } = world(ADMINISTERED);
      return told(subnet.manage("stop_canister", id, STRANGER));
    },
  },
  CanisterStatusAccessDenied: {
    text: /^Caller em77e-bvlzu-aq is not allowed to read the canister status$/,
    provoke: () => {
      const { subnet, id } = world();
      return told(subnet.manage("canister_status", id, STRANGER));
    },
  },
  DeadlineExpired: {
    never: "canisters are told without an error code that a deadline has passed: SYS_UNKNOWN",
  },
  ResponseDropped: { never: "responses are never dropped for want of memory" },
};

describe("error codes", () => {
  for (const [name, row] of Object.entries(TABLE) as [ErrorCodeName, Row][]) {
    const code = errorCodeText(ErrorCode[name]);
    if ("never" in row) {
      test(`${code} ${name} does not come up: ${row.never}`, () => assert.ok(row.never.length > 0));
      continue;
    }
    test(`${code} ${name}`, () => {
      const { code: rejectCode, errorCode, message } = row.provoke();
      assert.equal(errorCode, code);
      // "IC0504": the hundreds.
      if (rejectCode !== null) assert.equal(rejectCode, Number(code[3]));
      assert.match(message, row.text);
    });
  }

  test("every code's row is here", () => {
    assert.deepEqual(Object.keys(TABLE), Object.keys(ErrorCode));
  });
});

describe("what a calling canister is told", () => {
  test("routing's rejects have no code in their text, execution's have", () => {
    const made = world();
    const absent = forwarded(made, canisterIdFromIndex(99n), { method: "fine" });
    assert.deepEqual(
      [absent.code, absent.text.replace(/[a-z0-9]{5}(-[a-z0-9]+)+/, "X")],
      [3, "Canister X not found"],
    );
    const callee = made.subnet.installed(FAILING, { cycles: RICH });
    const trap = forwarded(made, callee, { method: "trap" });
    assert.equal(trap.code, 5);
    assert.match(trap.text, /^IC0503: Error from Canister /);
  });

  test("a deadline that passes is SYS_UNKNOWN", () => {
    const made = world();
    const callee = made.subnet.installed(FAILING, { cycles: RICH });
    assert.deepEqual(forwarded(made, callee, { method: "wait", briefly: true }), {
      code: 6,
      text: "Call deadline has expired.",
    });
  });
});
