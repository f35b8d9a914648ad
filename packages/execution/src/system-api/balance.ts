/** Imports about cycles, those of outgoing calls apart (interface spec, "Cycles"). */
import { compareBytes, principalFromText, principalToText } from "@orrery/base";
import { toolchainViolation, trapped } from "./failure.ts";
import type { MessageFrame } from "./frame.ts";
import type { Host, HostFunction, Pointer } from "./host.ts";
import { fromHalves } from "./host.ts";
import type { ImportName } from "./modes.ts";

const CYCLES_MINTING_CANISTER = principalFromText("rkp4c-7iaaa-aaaaa-aaaca-cai");
const U64_MAX: bigint = (1n << 64n) - 1n;

function fits64(cycles: bigint): bigint {
  if (cycles > U64_MAX) throw trapped("cycles amount exceeds 64-bit representation");
  return BigInt.asIntN(64, cycles);
}

function mint(frame: MessageFrame, name: ImportName, amount: bigint): bigint {
  if (compareBytes(frame.meta.id, CYCLES_MINTING_CANISTER) !== 0) {
    throw toolchainViolation(
      `ic0.${name} cannot be executed on non Cycles Minting Canister: ` +
        `${principalToText(frame.meta.id)} != ${principalToText(CYCLES_MINTING_CANISTER)}`,
    );
  }
  frame.mint(amount);
  return amount;
}

/** A getter in both widths: i64 results, and 16 bytes at a pointer. */
function getter(
  host: Host,
  name: "msg_cycles_available" | "msg_cycles_refunded" | "canister_cycle_balance",
  read: (frame: MessageFrame) => bigint,
): Record<string, HostFunction> {
  const wide: ImportName = `${name}128`;
  return {
    [name]: () => fits64(read(host.allow(name))),
    [wide]: (dst: Pointer) => {
      host.writeCycles(`ic0_${wide}`, dst, read(host.allow(wide)));
      return undefined;
    },
  };
}

export function balanceImports(host: Host): Record<string, HostFunction> {
  return {
    ...getter(host, "msg_cycles_available", (frame) => frame.cyclesAvailable),
    ...getter(host, "msg_cycles_refunded", (frame) => frame.context.cyclesRefunded),
    ...getter(host, "canister_cycle_balance", (frame) => frame.balance),
    canister_liquid_cycle_balance128: (dst: Pointer) => {
      const frame = host.allow("canister_liquid_cycle_balance128");
      host.writeCycles("ic0_canister_liquid_cycle_balance128", dst, frame.liquidBalance());
      return undefined;
    },
    msg_cycles_accept: (max: bigint) =>
      BigInt.asIntN(64, host.allow("msg_cycles_accept").accept(BigInt.asUintN(64, max))),
    msg_cycles_accept128: (high: bigint, low: bigint, dst: Pointer) => {
      const frame = host.allow("msg_cycles_accept128");
      host.writeCycles("ic0_msg_cycles_accept128", dst, frame.accept(fromHalves(high, low)));
      return undefined;
    },
    cycles_burn128: (high: bigint, low: bigint, dst: Pointer) => {
      const frame = host.allow("cycles_burn128");
      host.writeCycles("ic0_cycles_burn128", dst, frame.burn(fromHalves(high, low)));
      return undefined;
    },
    mint_cycles: (amount: bigint) =>
      BigInt.asIntN(64, mint(host.allow("mint_cycles"), "mint_cycles", BigInt.asUintN(64, amount))),
    mint_cycles128: (high: bigint, low: bigint, dst: Pointer) => {
      const frame = host.allow("mint_cycles128");
      host.writeCycles("ic0_mint_cycles_128", dst, mint(frame, "mint_cycles128", fromHalves(high, low)));
      return undefined;
    },
  };
}
