/** Creating canisters (interface spec, "create_canister", the provisional methods): ids, cycles, settings, history. */
import {
  type CanisterId,
  canisterIdFromIndex,
  canisterIndex,
  compareBytes,
  err,
  ok,
  type Principal,
  principalKey,
  principalToText,
  type Result,
} from "@orrery/base";
import { rangesContain } from "@orrery/crypto";
import {
  type CanisterSettings,
  type CanisterState,
  newCanister,
  type ReplicatedState,
  touch,
} from "@orrery/state";
import { maxOf, minOf } from "../bigints.ts";
import { recordConsumed } from "../cycles.ts";
import { ErrorCode, type UserError, userError } from "../error-codes.ts";
import { costCreateCanister } from "../fees.ts";
import { PROVISIONAL_CYCLES_DEFAULT } from "../limits.ts";
import { reservedIds } from "../local-network.ts";
import type { Round } from "../scheduler/round.ts";
import { EMPTY_REPLY } from "../scheduler/stopping.ts";
import {
  decodeArg,
  failure,
  findCanister,
  type Handler,
  historyOrigin,
  type ManagementCall,
} from "./call.ts";
import { decodeRecord, optional, readNat, readNat64, readPrincipal, required } from "./candid-decode.ts";
import { notAuthorized } from "./effective-id.ts";
import { environmentVariablesHash, recordChange } from "./history.ts";
import { availableMemory } from "./memory.ts";
import { invalidPayload } from "./methods.ts";
import { applySettings, readSettings, validateSettings } from "./settings.ts";
import { encodeCanisterId } from "./types.ts";

/** What the System API, certificates and streams can say. */
const CYCLES_MAX = (1n << 128n) - 1n;

interface Creation {
  readonly cycles: bigint;
  readonly given: Partial<CanisterSettings>;
  readonly senderVersion: bigint | null;
  readonly specifiedId: Principal | null;
}

export const createCanister: Handler = (round, call) => {
  const decoded = decodeArg(call, (record) => ({
    given: optional(record, "settings", readSettings) ?? {},
    senderVersion: optional(record, "sender_canister_version", readNat64),
  }));
  if (!decoded.ok) return failure(decoded.error);
  const fee = costCreateCanister(round.state.subnet);
  if (call.cycles < fee) {
    return failure(
      userError(
        ErrorCode.InsufficientCyclesForCreateCanister,
        `Creating a canister requires a fee of ${fee} that is deducted from the canister's initial balance but only ` +
          `${call.cycles} cycles were received with the create_canister request.`,
      ),
    );
  }
  const created = create(round, call, { ...decoded.value, cycles: call.cycles - fee, specifiedId: null });
  if (!created.ok) return failure(created.error);
  recordConsumed(round.state, created.value, fee, "canister_creation");
  return { kind: "reply", data: encodeCanisterId(created.value.meta.id), keeps: call.cycles };
};

/** An amount that 128 bits do not hold counts as not given, as the replica has it. */
function representable(amount: bigint): bigint {
  return amount > CYCLES_MAX ? PROVISIONAL_CYCLES_DEFAULT : amount;
}

export const provisionalCreateCanister: Handler = (round, call) => {
  if (!round.state.subnet.local) return failure(notAuthorized());
  const decoded = decodeArg(call, (record) => ({
    given: optional(record, "settings", readSettings) ?? {},
    cycles: optional(record, "amount", readNat) ?? PROVISIONAL_CYCLES_DEFAULT,
    specifiedId: optional(record, "specified_id", readPrincipal),
    senderVersion: optional(record, "sender_canister_version", readNat64),
  }));
  if (!decoded.ok) return failure(decoded.error);
  const created = create(round, call, { ...decoded.value, cycles: representable(decoded.value.cycles) });
  return created.ok
    ? { kind: "reply", data: encodeCanisterId(created.value.meta.id) }
    : failure(created.error);
};

/** The id that an argument of provisional creation asks for; null when it leaves that to the subnet. */
export function specifiedCanisterId(arg: Uint8Array): Result<Principal | null, UserError> {
  const decoded = decodeRecord(arg, (record) => optional(record, "specified_id", readPrincipal));
  return decoded.ok ? decoded : err(invalidPayload(decoded.error));
}

export const provisionalTopUp: Handler = (round, call) => {
  if (!round.state.subnet.local) return failure(notAuthorized());
  const decoded = decodeArg(call, (record) => ({
    id: required(record, "canister_id", readPrincipal),
    amount: required(record, "amount", readNat),
  }));
  if (!decoded.ok) return failure(decoded.error);
  const canister = findCanister(round, decoded.value.id);
  if (!canister.ok) return failure(canister.error);
  const { meta } = canister.value;
  const topped = minOf(meta.cycles + representable(decoded.value.amount), CYCLES_MAX);
  meta.cycles = maxOf(meta.cycles, topped);
  touch(round.state, canister.value);
  round.index.refresh(principalKey(meta.id), canister.value);
  return { kind: "reply", data: EMPTY_REPLY };
};

export const depositCycles: Handler = (round, call) => {
  const decoded = decodeArg(call, (record) => required(record, "canister_id", readPrincipal));
  if (!decoded.ok) return failure(decoded.error);
  const canister = findCanister(round, decoded.value);
  if (!canister.ok) return failure(canister.error);
  canister.value.meta.cycles += call.cycles;
  touch(round.state, canister.value);
  round.index.refresh(principalKey(canister.value.meta.id), canister.value);
  return { kind: "reply", data: EMPTY_REPLY, keeps: call.cycles };
};

/** Makes the canister and puts it into the state, or changes nothing. */
function create(round: Round, call: ManagementCall, creation: Creation): Result<CanisterState, UserError> {
  const { state, index } = round;
  if (state.canisters.size >= round.limits.canistersPerSubnet) {
    return err(
      userError(
        ErrorCode.MaxNumberOfCanistersReached,
        `Subnet ${principalToText(state.subnet.subnetId)} has reached the allowed canister limit of ` +
          `${round.limits.canistersPerSubnet} canisters. Retry creating the canister.`,
      ),
    );
  }
  const id = creation.specifiedId === null ? nextId(state) : specifiedId(state, creation.specifiedId);
  if (!id.ok) return id;
  const canister = newCanister({
    id: id.value.id,
    controllers: [call.sender.slice() as Principal],
    cycles: creation.cycles,
    time: state.time,
  });
  const settings = validateSettings(state, canister.meta, {
    given: creation.given,
    available: availableMemory(round),
  });
  if (!settings.ok) return settings;
  applySettings(canister.meta, settings.value);
  if (id.value.next !== null) state.nextCanisterIndex = id.value.next;
  const variables = creation.given.environmentVariables;
  recordChange(canister, {
    time: state.time,
    origin: historyOrigin(call, creation.senderVersion),
    details: {
      kind: "creation",
      controllers: canister.meta.settings.controllers,
      environmentVariablesHash: variables === undefined ? null : environmentVariablesHash(variables),
    },
  });
  const key = principalKey(canister.meta.id);
  state.canisters.set(key, canister);
  touch(state, canister);
  index.refresh(key, canister);
  return ok(canister);
}

interface FreshId {
  readonly id: CanisterId;
  /** Next index to allocate after this id; null: unchanged. */
  readonly next: bigint | null;
}

/** The next id of the allocation range that nobody specified before. */
function nextId(state: ReplicatedState): Result<FreshId, UserError> {
  const { start, end } = state.subnet.allocation;
  let at = maxOf(state.nextCanisterIndex, canisterIndex(start) ?? 0n);
  const last = canisterIndex(end) ?? 0n;
  while (state.canisters.has(principalKey(canisterIdFromIndex(at)))) at++;
  if (at > last) {
    return err(
      userError(
        ErrorCode.SubnetOversubscribed,
        "Could not create canister. Subnet has surpassed its canister ID allocation.",
      ),
    );
  }
  return ok({ id: canisterIdFromIndex(at), next: at + 1n });
}

/** An id that the sender chose: hosted by this subnet, not in use. */
function specifiedId(state: ReplicatedState, wanted: Principal): Result<FreshId, UserError> {
  const { subnet } = state;
  if (subnet.allocationReserved === true && rangesContain([subnet.allocation], wanted)) {
    return err(
      userError(
        ErrorCode.InvalidManagementPayload,
        `The \`specified_id\` ${principalToText(wanted)} is invalid because it belongs to the canister allocation ranges of ` +
          "the test environment.\nUse a `specified_id` that matches a canister ID on the ICP mainnet and a test environment " +
          "that supports canister creation with `specified_id` (e.g., PocketIC).",
      ),
    );
  }
  // A subnet of one node gets no neighbours while it runs.
  const reserved = subnet.nodes.length > 1 ? reservedIds(subnet.routing.length) : null;
  if (reserved !== null && rangesContain([reserved], wanted)) {
    return err(
      userError(
        ErrorCode.InvalidManagementPayload,
        `The \`specified_id\` ${principalToText(wanted)} is invalid because it belongs to a subnet that may be created later: ` +
          `use one outside of ${principalToText(reserved.start)} to ${principalToText(reserved.end)}.`,
      ),
    );
  }
  const own = subnet.routing.find((entry) => compareBytes(entry.subnetId, subnet.subnetId) === 0);
  const hosted = own?.ranges.some(
    ({ start, end }) => compareBytes(start, wanted) <= 0 && compareBytes(wanted, end) <= 0,
  );
  if (hosted !== true || canisterIndex(wanted) === null) {
    return err(
      userError(
        ErrorCode.CanisterNotHostedBySubnet,
        "Unsuccessful validation of specified ID: Specified CanisterId " +
          `${principalToText(wanted)} is not hosted by subnet ${principalToText(subnet.subnetId)}.`,
      ),
    );
  }
  if (state.canisters.has(principalKey(wanted))) {
    return err(
      userError(
        ErrorCode.CanisterIdAlreadyExists,
        `Unsuccessful canister creation: canister id ${principalToText(wanted)} already exists.`,
      ),
    );
  }
  return ok({ id: wanted.slice() as CanisterId, next: null });
}
