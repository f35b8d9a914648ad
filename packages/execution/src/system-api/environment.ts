/**
 * Imports about the canister and its surroundings: status, version, time, timer, counters, certified data, environment variables
 * (interface spec, "Canister status", "Time", "Global timer", "Performance counter", "Certified data", "Environment variables").
 */
import { PRINCIPAL_BYTES_MAX, utf8, utf8Decode } from "@orrery/base";
import { ENVIRONMENT_VARIABLE_BYTES_MAX } from "../limits.ts";
import { CanisterFailure, toolchainViolation, userViolation } from "./failure.ts";
import { isAmong, type MessageFrame } from "./frame.ts";
import type { Host, HostFunction, Pointer } from "./host.ts";
import { unsigned } from "./host.ts";
import { type ImportName, isReplicated } from "./modes.ts";

const CERTIFIED_DATA_BYTES_MAX = 32;
const STATUS_CODES = { running: 1, stopping: 2, stopped: 3 } as const;

function setCertifiedData(host: Host, frame: MessageFrame, src: Pointer, size: Pointer): void {
  const bytes = unsigned(size);
  if (bytes > CERTIFIED_DATA_BYTES_MAX) {
    throw userViolation(
      "ic0_certified_data_set failed because the passed data must be no larger than " +
        `${CERTIFIED_DATA_BYTES_MAX} bytes. Found ${bytes} bytes.`,
      "Try certifying just the hash of your data instead of the full contents.",
      "certified_data_set-payload-too-large",
    );
  }
  const memory = host.instance.memoryBytes();
  const start = unsigned(src);
  if (start + bytes > memory.length) {
    throw toolchainViolation(
      `ic0_certified_data_set failed because src + size is out of bounds. Found src = ${start} and size = ${bytes} ` +
        `while src + size must be <= ${memory.length}`,
    );
  }
  frame.certifiedData = memory.slice(start, start + bytes);
}

function dataCertificate(host: Host, name: ImportName): Uint8Array {
  const { dataCertificate: certificate } = host.allow(name).context;
  if (certificate === null) throw host.refuse(name);
  return certificate;
}

function copyCertificate(host: Host, dst: Pointer, offset: Pointer, size: Pointer): void {
  const certificate = dataCertificate(host, "data_certificate_copy");
  const [to, from, bytes] = [unsigned(dst), unsigned(offset), unsigned(size)];
  const memory = host.instance.memoryBytes();
  if (from + bytes > certificate.length) {
    throw toolchainViolation(
      "ic0_data_certificate_copy failed because offset + size is out of bounds. Found offset = " +
        `${from} and size = ${bytes} while offset + size must be <= ${certificate.length}`,
    );
  }
  if (to + bytes > memory.length) {
    throw toolchainViolation(
      "ic0_data_certificate_copy failed because dst + size is out of bounds. Found dst = " +
        `${to} and size = ${bytes} while dst + size must be <= ${memory.length}`,
    );
  }
  memory.set(certificate.subarray(from, from + bytes), to);
  host.instance.markDirty(to, bytes);
}

function performanceCounter(host: Host, type: number): bigint {
  const frame = host.allow("performance_counter");
  const executed = frame.instructionLimit - frame.reserve - host.instance.counter();
  if (type === 0) return executed;
  if (type === 1) return frame.context.contextInstructions + executed;
  throw toolchainViolation(`Error getting performance counter type ${type >>> 0}`);
}

function variableName(host: Host, what: string, src: Pointer, size: Pointer, heap = "heap"): string {
  if (unsigned(size) > ENVIRONMENT_VARIABLE_BYTES_MAX) {
    throw userViolation(`ic0.${what}: Variable name is too large.`);
  }
  const name = utf8Decode(host.viewBytes(`ic0.${what} ${heap}`, src, size));
  if (name === null) {
    throw userViolation(
      `ic0.${what}: Variable name is not a valid UTF-8 string.`,
      "Provide a valid UTF-8 string for the environment variable name.",
    );
  }
  return name;
}

function variableValue(frame: MessageFrame, name: string): Uint8Array {
  const variable = frame.meta.settings.environmentVariables.find((one) => one.name === name);
  if (variable === undefined) throw new CanisterFailure({ kind: "environment_name", name });
  return utf8(variable.value);
}

function variableAt(frame: MessageFrame, index: Pointer): Uint8Array {
  const variables = frame.meta.settings.environmentVariables;
  const variable = variables[unsigned(index)];
  if (variable === undefined) {
    const at = typeof index === "number" ? BigInt(index >>> 0) : BigInt.asUintN(64, index);
    throw new CanisterFailure({ kind: "environment_index", index: at, length: variables.length });
  }
  return utf8(variable.name);
}

function environmentVariableImports(host: Host): Record<string, HostFunction> {
  return {
    env_var_count: () => host.size(host.allow("env_var_count").meta.settings.environmentVariables.length),
    env_var_name_size: (index: Pointer) =>
      host.size(variableAt(host.allow("env_var_name_size"), index).length),
    env_var_name_copy: (index: Pointer, dst: Pointer, offset: Pointer, size: Pointer) => {
      host.charge(unsigned(size));
      const name = variableAt(host.allow("env_var_name_copy"), index);
      const texts = { heap: "ic0.env_var_name_copy heap", source: "ic0.env_var_name_copy name" };
      host.copyOut(texts, name, { dst, offset, size });
      return undefined;
    },
    env_var_name_exists: (src: Pointer, size: Pointer) => {
      const frame = host.allow("env_var_name_exists");
      const name = variableName(host, "env_var_name_exists", src, size);
      return frame.meta.settings.environmentVariables.some((one) => one.name === name) ? 1 : 0;
    },
    env_var_value_size: (src: Pointer, size: Pointer) => {
      const frame = host.allow("env_var_value_size");
      return host.size(variableValue(frame, variableName(host, "env_var_value_size", src, size)).length);
    },
    env_var_value_copy: (src: Pointer, nameSize: Pointer, dst: Pointer, offset: Pointer, size: Pointer) => {
      host.charge(unsigned(size));
      const frame = host.allow("env_var_value_copy");
      const value = variableValue(frame, variableName(host, "env_var_value_copy", src, nameSize, "name"));
      const texts = { heap: "ic0.env_var_value_copy heap", source: "ic0.env_var_value_copy value" };
      host.copyOut(texts, value, { dst, offset, size });
      return undefined;
    },
  };
}

export function environmentImports(host: Host): Record<string, HostFunction> {
  return {
    canister_status: () => STATUS_CODES[host.allow("canister_status").meta.status.kind],
    subnet_self_node_count: () => host.allow("subnet_self_node_count").context.subnet.feeSize,
    canister_version: () => BigInt.asIntN(64, host.allow("canister_version").meta.version),
    time: () => BigInt.asIntN(64, host.allow("time").context.time),
    global_timer_set: (time: bigint) => {
      const frame = host.allow("global_timer_set");
      const previous = frame.globalTimer ?? frame.timerBefore;
      frame.globalTimer = BigInt.asUintN(64, time);
      return BigInt.asIntN(64, previous);
    },
    performance_counter: (type: number) => BigInt.asIntN(64, performanceCounter(host, type)),
    is_controller: (src: Pointer, size: Pointer) => {
      host.charge(unsigned(size));
      const frame = host.allow("is_controller");
      const id = host.viewBytes("ic0.is_controller", src, size);
      if (id.length > PRINCIPAL_BYTES_MAX) throw new CanisterFailure({ kind: "invalid_principal" });
      return isAmong(frame.meta.settings.controllers, id) ? 1 : 0;
    },
    in_replicated_execution: () => (isReplicated(host.allow("in_replicated_execution").mode) ? 1 : 0),
    certified_data_set: (src: Pointer, size: Pointer) => {
      host.charge(unsigned(size));
      setCertifiedData(host, host.allow("certified_data_set"), src, size);
      return undefined;
    },
    data_certificate_present: () =>
      host.allow("data_certificate_present").context.dataCertificate === null ? 0 : 1,
    data_certificate_size: () => host.size(dataCertificate(host, "data_certificate_size").length),
    data_certificate_copy: (dst: Pointer, offset: Pointer, size: Pointer) => {
      host.charge(unsigned(size));
      copyCertificate(host, dst, offset, size);
      return undefined;
    },
    ...environmentVariableImports(host),
  };
}
