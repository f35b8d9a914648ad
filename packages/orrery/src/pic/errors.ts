/** Failures as PicJS's users know them: the texts that their tests match parts of. */
import { OrreryError } from "@orrery/base";

/** As much of a network's reject as is told. */
interface Told {
  readonly code: 1 | 2 | 3 | 4 | 5 | 6;
  readonly message: string;
  readonly errorName: string;
  readonly certified: boolean;
}

const REJECT_CODES: Readonly<Record<Told["code"], string>> = {
  1: "SysFatal",
  2: "SysTransient",
  3: "DestinationInvalid",
  4: "CanisterReject",
  5: "CanisterError",
  6: "SysUnknown",
};

/** What a call that did not end with a reply throws. */
export function callFailed({ code, message, errorName, certified }: Told): Error {
  const codes = `Reject code: ${REJECT_CODES[code]}. Error code: ${errorName}. Certified: ${certified}`;
  return new Error(`Canister call failed: ${message}. ${codes}`);
}

/** What an operation that could not be done throws. */
export class ServerError extends Error {
  override readonly name = "ServerError";
  readonly serverMessage: string;

  constructor(serverMessage: string, options?: { readonly cause: unknown }) {
    super(`PocketIC server error: ${serverMessage}`, options);
    this.serverMessage = serverMessage;
  }
}

/** The variant of a PocketIC server's errors that one of ours would be. */
function variantOf({ code, message, data }: OrreryError): string {
  switch (code) {
    case "time_backwards":
      return `SettingTimeIntoPast((${data["now"]}, ${data["asked"]}))`;
    case "call_pending":
      return `BadIngressMessage("Failed to answer to ingress 0x${data["requestId"]} after ${data["rounds"]} rounds.")`;
    case "call_unroutable":
    case "ingress_too_large":
      return `BadIngressMessage(${JSON.stringify(message)})`;
    case "canister_unknown":
      return `CanisterNotFound: ${message}`;
    case "canister_empty":
      return `CanisterIsEmpty: ${message}`;
    case "subnet_unknown":
      return `SubnetNotFound: ${message}`;
    case "outcall_unknown":
      return `InvalidCanisterHttpRequestId: ${message}`;
    case "outcall_answers":
      return `InvalidMockCanisterHttpResponses: ${message}`;
    default:
      return message;
  }
}

/** Errors of the network under the names that are known here; others stay what they are. */
export function serverError(error: unknown): unknown {
  if (!(error instanceof OrreryError)) return error;
  if (error.code === "instance_gone") return new Error("Instance was deleted", { cause: error });
  return new ServerError(variantOf(error), { cause: error });
}
