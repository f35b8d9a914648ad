/** What cases about the surroundings of a canister share. */
import { code, ic0 } from "../script.ts";

export const OK: Uint8Array = code(ic0.msg_reply);
