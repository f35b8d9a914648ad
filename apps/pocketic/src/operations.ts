/** What each path below an instance means: a table from path to a function of the instance and the body, which returns what goes out as JSON. */
import { principalToText } from "@orrery/base";
import type { Blockmaker, Instance } from "@orrery/sim/instance";
import {
  aboutCanister,
  aboutSubnet,
  base64,
  caller,
  canisterCall,
  failedJson,
  messageId,
  messageIdJson,
  principal,
  resultJson,
} from "./calls.ts";
import type { Encodable, Json } from "./json.ts";
import { mockOutcall, pendingOutcallsJson } from "./mocks.ts";
import {
  badIngressMessage,
  canisterIsEmpty,
  canisterNotFound,
  mapping,
  PicError,
  subnetNotFound,
} from "./pic-errors.ts";
import { list, optional, type Reader, readBody, record, u64, u128, wrapped } from "./shapes.ts";
import { topologyJson } from "./topology.ts";

export interface Request {
  readonly instance: Instance;
  readonly body: Uint8Array;
  /** Content of the blob that the body names. */
  readonly blob: Uint8Array | null;
}

export type Operation = (request: Request) => Encodable;

/** Rounds that waiting for an answer takes at most. */
const AWAIT_ROUNDS_MAX = 100;

const timeFields = wrapped("nanos_since_epoch", u64);

function setTime(instance: Instance, time: bigint, set: () => void): null {
  const past = (): PicError => new PicError(`SettingTimeIntoPast((${instance.time}, ${time}))`);
  mapping({ time_backwards: past }, set);
  return null;
}

/** Reads of a canister, which must exist. */
function ofCanister(
  read: (instance: Instance, id: ReturnType<typeof aboutCanister>) => Encodable,
): Operation {
  return ({ instance, body }) => {
    const id = readBody(body, aboutCanister);
    const unknown = {
      canister_unknown: () => canisterNotFound(id),
      canister_empty: () => canisterIsEmpty(id),
    };
    return mapping(unknown, () => read(instance, id));
  };
}

const blockmaker: Reader<Blockmaker> = (value, at) => {
  const read = record({
    subnet: aboutSubnet,
    blockmaker: wrapped("node_id", principal),
    failed_blockmakers: list(wrapped("node_id", principal)),
  })(value, at);
  return { subnetId: read.subnet, nodeId: read.blockmaker, failed: read.failed_blockmakers };
};

/** A list, or wrapped in an object as before version 12. */
const blockmakers: Reader<readonly Blockmaker[]> = (value, at) =>
  Array.isArray(value)
    ? list(blockmaker)(value as readonly Json[], at)
    : wrapped("blockmakers_per_subnet", list(blockmaker))(value, at);

function tick({ instance, body }: Request): null {
  const made = readBody(body, wrapped("blockmakers", optional(blockmakers))) ?? [];
  const unknown = (): PicError =>
    new PicError(`SubnetNotFound(${made.map(({ subnetId }) => principalToText(subnetId)).join(", ")})`);
  mapping(
    {
      subnet_unknown: unknown,
      blockmaker_invalid: ({ data }) =>
        new PicError(
          `${data["stranger"] === true ? "BlockmakerNotFound" : "BlockmakerContainedInFailed"}(${String(data["node"])})`,
        ),
    },
    () => (made.length === 0 ? instance.tick() : instance.tick(made)),
  );
  return null;
}

function submit({ instance, body }: Request): Encodable {
  const submitted = instance.submitIngress(readBody(body, canisterCall));
  return submitted.ok ? { Ok: messageIdJson(submitted.value) } : failedJson(submitted.error);
}

function awaitMessage({ instance, body }: Request): Encodable {
  const id = readBody(
    body,
    messageId((canister) => instance.hostOf(canister)),
  );
  const late = (): PicError => {
    const hex = Buffer.from(id.requestId).toString("hex");
    return badIngressMessage(`Failed to answer to ingress 0x${hex} after ${AWAIT_ROUNDS_MAX} rounds.`);
  };
  const unknown = (): PicError =>
    badIngressMessage(`Subnet with ID ${principalToText(id.subnetId)} not found`);
  return resultJson(
    mapping({ call_pending: late, subnet_unknown: unknown }, () =>
      instance.awaitIngress(id, AWAIT_ROUNDS_MAX),
    ),
  );
}

function ingressStatus({ instance, body }: Request): Encodable {
  const fields = record({
    raw_message_id: messageId((canister) => instance.hostOf(canister)),
    raw_caller: optional(caller),
  });
  const { raw_message_id: id, raw_caller: asker } = readBody(body, fields);
  const foreign = (): PicError =>
    new PicError('Forbidden("The user tries to access Request ID not signed by the caller.")', 403);
  const unknown = (): PicError =>
    badIngressMessage(`Subnet with ID ${principalToText(id.subnetId)} not found`);
  const status = mapping({ call_foreign: foreign, subnet_unknown: unknown }, () =>
    asker === null ? instance.ingressStatus(id) : instance.ingressStatus(id, asker),
  );
  return status === null ? null : resultJson(status);
}

function addCycles({ instance, body }: Request): Encodable {
  const { canister_id: id, amount } = readBody(body, record({ canister_id: principal, amount: u128 }));
  return mapping({ canister_unknown: () => canisterNotFound(id) }, () => ({
    cycles: instance.addCycles(id, amount),
  }));
}

function setStableMemory({ instance, body, blob }: Request): null {
  const id = readBody(body, aboutCanister);
  const unknown = { canister_unknown: () => canisterNotFound(id), canister_empty: () => canisterIsEmpty(id) };
  mapping(unknown, () => instance.setStableMemory(id, blob ?? new Uint8Array(0)));
  return null;
}

function deleteSubnet({ instance, body }: Request): null {
  const id = readBody(body, aboutSubnet);
  mapping({ subnet_unknown: () => subnetNotFound(id) }, () => instance.deleteSubnet(id));
  return null;
}

/** Operations that are a function of the instance's present; the others have more to do than this. */
export const OPERATIONS: Readonly<Record<string, Operation>> = {
  "read/get_time": ({ instance }) => ({ nanos_since_epoch: instance.time }),
  "read/topology": ({ instance }) => topologyJson(instance.topology()),
  "_/topology": ({ instance }) => topologyJson(instance.topology()),
  "read/get_canister_http": ({ instance }) => pendingOutcallsJson(instance),
  "read/query": ({ instance, body }) => resultJson(instance.query(readBody(body, canisterCall))),
  "read/ingress_status": ingressStatus,
  "read/get_cycles": ofCanister((instance, id) => ({ cycles: instance.cycles(id) })),
  "read/get_controllers": ofCanister((instance, id) =>
    instance.controllers(id).map((one) => ({ principal_id: base64(one) })),
  ),
  "read/get_stable_memory": ofCanister((instance, id) => ({ blob: base64(instance.stableMemory(id)) })),
  "read/get_subnet": ({ instance, body }) => {
    const subnet = instance.subnetOf(readBody(body, aboutCanister));
    return subnet === null ? null : { subnet_id: base64(subnet) };
  },
  "read/pub_key": ({ instance, body }) => {
    const id = readBody(body, aboutSubnet);
    return mapping({ subnet_unknown: () => subnetNotFound(id) }, () => [...instance.publicKey(id)]);
  },
  "update/submit_ingress_message": submit,
  "update/await_ingress_message": awaitMessage,
  "update/set_time": ({ instance, body }) => {
    const time = readBody(body, timeFields);
    return setTime(instance, time, () => instance.setTime(time));
  },
  "update/set_certified_time": ({ instance, body }) => {
    const time = readBody(body, timeFields);
    return setTime(instance, time, () => instance.setCertifiedTime(time));
  },
  "update/add_cycles": addCycles,
  "update/set_stable_memory": setStableMemory,
  "update/tick": tick,
  "update/mock_canister_http": ({ instance, body }) => {
    mockOutcall(instance, body);
    return null;
  },
  "update/delete_subnet": deleteSubnet,
};
