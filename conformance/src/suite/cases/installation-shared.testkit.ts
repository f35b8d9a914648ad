/** What cases about installed code share. */
import { createHash } from "node:crypto";

export const T = 1_000_000_000_000n;

export const sha256 = (bytes: Uint8Array): Uint8Array =>
  new Uint8Array(createHash("sha256").update(bytes).digest());

export const INSTALL: object = { install: null };

export const REINSTALL: object = { reinstall: null };

export const UPGRADE: object = { upgrade: null };
