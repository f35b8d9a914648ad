/**
 * Programs as they are, without the protocol around them: what instrumented ones are compared with. The System API's stand-ins keep
 * an argument, replies and a stable memory; every other import answers zero.
 */
import { IDL } from "@icp-sdk/core/candid";
import { IC0_IMPORTS } from "@orrery/wasm";

const STABLE_PAGE_BYTES = 65_536;

export interface Message {
  readonly method: string;
  readonly arg: Uint8Array;
}

/** Memory and argument of the message that runs; what the System API's stand-ins work on. */
export interface World {
  arg: Uint8Array;
  stable: Uint8Array;
  /** What was answered, in hexadecimal. */
  readonly replies: string[];
  write(address: number, bytes: Uint8Array): void;
  read(address: number, length: number): Uint8Array;
}

export interface Program {
  run(message: Message): void;
  init(): void;
}

/** Every import answers zero but those a program cannot do without. */
export function standIns(is64: boolean, world: World): Record<string, (...args: never[]) => unknown> {
  const size = (value: number): number | bigint => (is64 ? BigInt(value) : value);
  const ic0: Record<string, (...args: never[]) => unknown> = {};
  for (const [name, { results }] of IC0_IMPORTS) {
    const [result] = results;
    const wide = result === "i64" || (result === "I" && is64);
    ic0[name] = result === undefined ? () => {} : wide ? () => 0n : () => 0;
  }
  ic0["msg_arg_data_size"] = () => size(world.arg.length);
  ic0["msg_arg_data_copy"] = (to: number | bigint, from: number | bigint, length: number | bigint) =>
    world.write(Number(to), world.arg.subarray(Number(from), Number(from) + Number(length)));
  ic0["msg_reply_data_append"] = (at: number | bigint, length: number | bigint) => {
    world.replies.push(Buffer.from(world.read(Number(at), Number(length))).toString("hex"));
  };
  ic0["stable64_size"] = () => BigInt(world.stable.length / STABLE_PAGE_BYTES);
  ic0["stable64_grow"] = (pages: bigint) => {
    const before = world.stable;
    world.stable = new Uint8Array(before.length + Number(pages) * STABLE_PAGE_BYTES);
    world.stable.set(before);
    return BigInt(before.length / STABLE_PAGE_BYTES);
  };
  ic0["stable64_write"] = (to: bigint, from: bigint, length: bigint) =>
    world.stable.set(world.read(Number(from), Number(length)), Number(to));
  ic0["stable64_read"] = (to: bigint, from: bigint, length: bigint) =>
    world.write(Number(to), world.stable.subarray(Number(from), Number(from + length)));
  ic0["msg_caller_size"] = () => size(1);
  ic0["canister_self_size"] = () => size(10);
  ic0["time"] = () => 1_700_000_000_000_000_000n;
  ic0["trap"] = (at: number | bigint, length: number | bigint) => {
    throw new Error(`trapped: ${new TextDecoder().decode(world.read(Number(at), Number(length)))}`);
  };
  return ic0;
}

/** A plain instance; `init` is to be called first. */
export function plain(module: WebAssembly.Module, is64: boolean): Program {
  let memory: WebAssembly.Memory | null = null;
  const bytes = (): Uint8Array => new Uint8Array((memory as WebAssembly.Memory).buffer);
  const world: World = {
    arg: new Uint8Array(0),
    stable: new Uint8Array(0),
    replies: [],
    write: (address, data) => bytes().set(data, address),
    read: (address, length) => bytes().slice(address, address + length),
  };
  const { exports } = new WebAssembly.Instance(module, { ic0: standIns(is64, world) });
  memory = Object.values(exports).find((one) => one instanceof WebAssembly.Memory) ?? null;
  const call = (name: string): void => (exports[name] as (() => void) | undefined)?.();
  return {
    init(): void {
      world.arg = new Uint8Array(IDL.encode([], []));
      call("canister_init");
    },
    run({ method, arg }): void {
      world.arg = arg;
      call(`canister_update ${method}`);
    },
  };
}
