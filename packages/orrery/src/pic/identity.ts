/** Identities for tests. One seed phrase gives the identity that PicJS gives for it, so that principals in expectations hold. */
import { createHash, randomBytes } from "node:crypto";
import type { Identity } from "@icp-sdk/core/agent";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";

/** Of the phrase's SHA-256 in hexadecimal, the first 32 characters are the key's seed. */
const SEED_CHARACTERS = 32;

export function createIdentity(seedPhrase: string): Identity {
  const digest = createHash("sha256").update(seedPhrase).digest("hex");
  return Ed25519KeyIdentity.generate(new TextEncoder().encode(digest.slice(0, SEED_CHARACTERS)));
}

export function generateRandomIdentity(): Identity {
  return createIdentity(randomBytes(SEED_CHARACTERS).toString("hex"));
}
