/** Imports that answer a call (interface spec, "Responding"). */
import { utf8Decode } from "@orrery/base";
import { toolchainViolation, userViolation } from "./failure.ts";
import type { MessageFrame } from "./frame.ts";
import type { Host, HostFunction, Pointer } from "./host.ts";
import { unsigned } from "./host.ts";

/** Price of a byte that leaves the canister's memory for good. */
const RESPONSE_BYTE_INSTRUCTIONS = 50;

function answered(frame: MessageFrame): boolean {
  return frame.response !== null || !frame.context.canRespond;
}

export function replyImports(host: Host): Record<string, HostFunction> {
  return {
    msg_reply_data_append: (src: Pointer, size: Pointer) => {
      host.charge(RESPONSE_BYTE_INSTRUCTIONS * unsigned(size));
      const frame = host.allow("msg_reply_data_append");
      if (answered(frame))
        throw toolchainViolation("ic0.msg_reply_data_append: the call is already replied.");
      const total = frame.replyBytes + unsigned(size);
      if (total > frame.responseBytesMax) {
        throw userViolation(
          `ic0.msg_reply_data_append: application payload size (${total}) cannot be larger than ${frame.responseBytesMax}.`,
          "Consider checking the response size and returning an error if it is too long.",
          "msg_reply_data_append-payload-too-large",
        );
      }
      frame.appendReply(host.viewBytes("msg.reply", src, size));
      return undefined;
    },
    msg_reply: () => {
      const frame = host.allow("msg_reply");
      if (answered(frame)) throw toolchainViolation("ic0.msg_reply: the call is already replied");
      frame.reply();
      return undefined;
    },
    msg_reject: (src: Pointer, size: Pointer) => {
      host.charge(RESPONSE_BYTE_INSTRUCTIONS * unsigned(size));
      const frame = host.allow("msg_reject");
      if (answered(frame)) throw toolchainViolation("ic0.msg_reject: the call is already replied");
      if (unsigned(size) > frame.responseBytesMax) {
        throw userViolation(
          `ic0.msg_reject: application payload size (${unsigned(size)}) cannot be larger than ${frame.responseBytesMax}.`,
          "Try truncating the error messages that are too long.",
          "msg_reject-payload-too-large",
        );
      }
      const message = utf8Decode(host.readBytes("ic0.msg_reject", src, size));
      if (message === null) throw toolchainViolation("ic0.msg_reject: invalid UTF-8 string provided");
      frame.response = { kind: "reject", message };
      return undefined;
    },
  };
}
