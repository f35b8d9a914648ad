/** What cases about calls share. */
import { utf8 } from "../bytes.ts";
import { code, ic0 } from "../script.ts";

export const OK: Uint8Array = code(ic0.msg_reply);

export const NO_ARGUMENT: Uint8Array = utf8("DIDL\0\0");
