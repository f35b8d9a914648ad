/** Imports that call other canisters (interface spec, "Inter-canister method calls"). A call is built up, then performed or dropped. */
import { type CanisterId, PRINCIPAL_BYTES_MAX, principalToText, utf8DecodeLossy } from "@orrery/base";
import type { WasmClosure } from "@orrery/state";
import { freezingThresholdCycles, outOfCycles } from "../cycles.ts";
import { CALL_TIMEOUT_SECONDS_MAX, METHOD_NAME_BYTES_MAX, SAME_SUBNET_PAYLOAD_BYTES_MAX } from "../limits.ts";
import { ByteBuffer } from "./byte-buffer.ts";
import { CanisterFailure, toolchainViolation, userViolation } from "./failure.ts";
import type { MessageFrame, PendingCall } from "./frame.ts";
import type { Host, HostFunction, Pointer } from "./host.ts";
import { fromHalves, unsigned } from "./host.ts";
import type { ImportName } from "./modes.ts";

/** Price of a payload byte. */
const PAYLOAD_BYTE_INSTRUCTIONS = 50;

function closure(fun: Pointer, env: Pointer): WasmClosure {
  const bits = typeof env === "number" ? BigInt(env >>> 0) : BigInt.asUintN(64, env);
  return { fun: Number(BigInt.asUintN(32, BigInt(fun))), env: bits };
}

function pendingCall(frame: MessageFrame, what: string): PendingCall {
  if (frame.pending === null) throw toolchainViolation(`${what} called when no call is under construction.`);
  return frame.pending;
}

function newCall(
  host: Host,
  call: { readonly src: Pointer; readonly size: Pointer },
  name: { readonly src: Pointer; readonly size: Pointer },
  callbacks: { readonly reply: WasmClosure; readonly reject: WasmClosure },
): PendingCall {
  const nameBytes = unsigned(name.size);
  if (nameBytes > METHOD_NAME_BYTES_MAX) {
    throw userViolation(
      `Size of method_name ${nameBytes} exceeds the allowed limit of ${METHOD_NAME_BYTES_MAX}.`,
      "Size of method_name {} exceeds the allowed limit of {}.",
      "canister-made-a-call-with-too-large-method-name",
    );
  }
  const methodName = utf8DecodeLossy(host.viewBytes("ic0.call_new method_name", name.src, name.size));
  const callee = host.viewBytes("ic0.call_new callee_src", call.src, call.size);
  if (callee.length > PRINCIPAL_BYTES_MAX) throw new CanisterFailure({ kind: "invalid_principal" });
  return {
    callee: callee.slice() as CanisterId,
    methodName,
    methodNameBytes: nameBytes,
    payload: new ByteBuffer(),
    cycles: 0n,
    ...callbacks,
    cleanup: null,
    timeoutSeconds: null,
  };
}

function appendData(host: Host, call: PendingCall, src: Pointer, size: Pointer): void {
  const total = call.methodNameBytes + call.payload.length + unsigned(size);
  if (total > SAME_SUBNET_PAYLOAD_BYTES_MAX) {
    throw userViolation(
      `Request to ${principalToText(call.callee)}:${call.methodName} has a payload size of ${total}, which exceeds the ` +
        `allowed limit of ${SAME_SUBNET_PAYLOAD_BYTES_MAX}.`,
      "Check the canister for errors or redesign the target API to allow shorter messages",
      "canister-made-a-call-with-too-large-payload",
    );
  }
  call.payload.append(host.viewBytes("ic0.call_data_append", src, size));
}

function addCycles(host: Host, name: ImportName, amount: bigint): void {
  const frame = host.allow(name);
  const call = pendingCall(frame, `ic0_${name}`);
  if (!frame.withdraw(amount)) {
    const meta = { ...frame.meta, cycles: frame.balance };
    const threshold = freezingThresholdCycles(frame.context.subnet, meta);
    const { message } = outOfCycles(meta, { requested: amount, threshold, reveal: false });
    throw new CanisterFailure({ kind: "insufficient_cycles", text: message });
  }
  call.cycles += amount;
}

/** The management canister also goes by the id of the subnet. */
export function callImports(host: Host): Record<string, HostFunction> {
  return {
    call_new: (
      calleeSrc: Pointer,
      calleeSize: Pointer,
      nameSrc: Pointer,
      nameSize: Pointer,
      replyFun: Pointer,
      replyEnv: Pointer,
      rejectFun: Pointer,
      rejectEnv: Pointer,
    ) => {
      host.charge(unsigned(calleeSize) + unsigned(nameSize));
      const frame = host.allow("call_new");
      frame.dropPending();
      frame.pending = newCall(
        host,
        { src: calleeSrc, size: calleeSize },
        { src: nameSrc, size: nameSize },
        { reply: closure(replyFun, replyEnv), reject: closure(rejectFun, rejectEnv) },
      );
      return undefined;
    },
    call_on_cleanup: (fun: Pointer, env: Pointer) => {
      const call = pendingCall(host.allow("call_on_cleanup"), "ic0.call_on_cleanup");
      if (call.cleanup !== null) {
        throw toolchainViolation(
          "ic0.call_on_cleanup can be called at most once between `ic0.call_new` and `ic0.call_perform`",
        );
      }
      call.cleanup = closure(fun, env);
      return undefined;
    },
    call_data_append: (src: Pointer, size: Pointer) => {
      host.charge(PAYLOAD_BYTE_INSTRUCTIONS * unsigned(size));
      const call = pendingCall(host.allow("call_data_append"), "ic0.call_data_append");
      appendData(host, call, src, size);
      return undefined;
    },
    call_with_best_effort_response: (timeoutSeconds: number) => {
      const frame = host.allow("call_with_best_effort_response");
      const call = pendingCall(frame, "ic0.call_with_best_effort_response");
      if (call.timeoutSeconds !== null) {
        throw toolchainViolation(
          "ic0_call_with_best_effort_response failed because a timeout is already set.",
        );
      }
      call.timeoutSeconds = Math.min(timeoutSeconds >>> 0, CALL_TIMEOUT_SECONDS_MAX);
      return undefined;
    },
    call_cycles_add: (amount: bigint) => {
      addCycles(host, "call_cycles_add", BigInt.asUintN(64, amount));
      return undefined;
    },
    call_cycles_add128: (high: bigint, low: bigint) => {
      addCycles(host, "call_cycles_add128", fromHalves(high, low));
      return undefined;
    },
    call_perform: () => {
      const frame = host.allow("call_perform");
      const call = pendingCall(frame, "ic0.call_perform");
      frame.pending = null;
      return frame.perform(call);
    },
  };
}
