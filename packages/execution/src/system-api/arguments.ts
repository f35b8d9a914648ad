/** Imports that read what a message came with (interface spec, "Message data", "Ingress message inspection", "Caller info"). */
import { utf8 } from "@orrery/base";
import { toolchainViolation } from "./failure.ts";
import type { Host, HostFunction, Pointer } from "./host.ts";
import { unsigned } from "./host.ts";
import type { ImportName } from "./modes.ts";

const EMPTY = new Uint8Array(0);

/** `*_size` and `*_copy` over a byte string of the frame. */
function blob(
  host: Host,
  name: string,
  options: { readonly source: string; readonly bytes: () => Uint8Array },
): Record<string, HostFunction> {
  const sizeName = `${name}_size` as ImportName;
  const copyName = `${name}_copy` as ImportName;
  const texts = { heap: `ic0.${name}_copy heap`, source: `ic0.${name}_copy ${options.source}` };
  return {
    [sizeName]: () => {
      host.allow(sizeName);
      return host.size(options.bytes().length);
    },
    [copyName]: (dst: Pointer, offset: Pointer, size: Pointer) => {
      host.charge(unsigned(size));
      host.allow(copyName);
      host.copyOut(texts, options.bytes(), { dst, offset, size });
      return undefined;
    },
  };
}

export function argumentImports(host: Host): Record<string, HostFunction> {
  return {
    ...blob(host, "msg_arg_data", { source: "payload", bytes: () => host.frame.argument }),
    ...blob(host, "msg_caller", { source: "id", bytes: () => host.frame.context.caller }),
    ...blob(host, "msg_caller_info_data", {
      source: "info",
      bytes: () => host.frame.context.callerInfo?.info ?? EMPTY,
    }),
    ...blob(host, "msg_caller_info_signer", {
      source: "signer",
      bytes: () => host.frame.context.callerInfo?.signer ?? EMPTY,
    }),
    ...blob(host, "msg_method_name", { source: "payload", bytes: () => utf8(host.frame.methodName) }),
    ...blob(host, "msg_reject_msg", { source: "msg", bytes: () => host.frame.rejectMessage }),
    msg_reject_code: () => host.allow("msg_reject_code").rejectCode,
    msg_deadline: () => BigInt.asIntN(64, host.allow("msg_deadline").context.deadline),
    accept_message: () => {
      const frame = host.allow("accept_message");
      if (frame.messageAccepted) {
        throw toolchainViolation("ic0.accept_message: the function was already called.");
      }
      frame.messageAccepted = true;
      return undefined;
    },
    ...blob(host, "canister_self", { source: "id", bytes: () => host.frame.meta.id }),
    ...blob(host, "subnet_self", { source: "id", bytes: () => host.frame.context.subnet.subnetId }),
    ...blob(host, "root_key", { source: "bytes", bytes: () => host.frame.context.subnet.rootKey }),
  };
}
