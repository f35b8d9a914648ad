/** How a node introduces itself: for a subnet its key and its encryption key, signed. Whoever passes that on cannot change it. */
import { err, ok, principalToText, type Result, selfAuthenticating } from "@orrery/base";
import type { NodeKeys } from "@orrery/consensus/keys";
import { domainSep, parsePublicKeyDer, sha256 } from "@orrery/crypto";
import { type Curve, createEncryptionKey, verifyEncryptionKey } from "@orrery/crypto/dkg";
import type { FoundingNode } from "@orrery/execution/genesis";
import { createNodeSigner, nodePublicKeyDer } from "@orrery/host";
import { nodeSignatures } from "@orrery/host/signatures";
import { nodeSecretsOf } from "./node-seed.ts";

export type Shown = Pick<FoundingNode, "publicKey" | "encryption">;

export interface Introduced extends Shown {
  readonly signature: Uint8Array;
}

const encryptionContent = ({ publicKey, encryption }: Shown): Uint8Array =>
  sha256(domainSep("orrery-founding-node"), publicKey, encryption);

/** What a node shows of itself in a subnet. */
export function showNode(curve: Curve, seed: Uint8Array, subnet: number): Introduced {
  const secrets = nodeSecretsOf(seed, subnet);
  const publicKey = nodePublicKeyDer(secrets.signing);
  const { record: encryption } = createEncryptionKey(
    curve,
    secrets.encryption,
    selfAuthenticating(publicKey),
  );
  const signature = createNodeSigner(secrets.signing)(encryptionContent({ publicKey, encryption }));
  return { publicKey, encryption, signature };
}

/** 32 bytes of a DER Ed25519 key; null for any other. */
export function ed25519Of(publicKey: Uint8Array): Uint8Array | null {
  const parsed = parsePublicKeyDer(publicKey);
  return parsed.ok && parsed.value.kind === "ed25519" ? parsed.value.key : null;
}

/** What everybody may know of a node, if its proofs hold; else why they do not. */
export function judgeNode(curve: Curve, node: Introduced): Result<NodeKeys, string> {
  const signing = ed25519Of(node.publicKey);
  if (signing === null) return err("a node's key is not an Ed25519 key");
  const nodeId = selfAuthenticating(node.publicKey);
  const encryption = verifyEncryptionKey(curve, node.encryption, nodeId);
  if (!encryption.ok) return err(`node ${principalToText(nodeId)}: ${encryption.error}`);
  if (!nodeSignatures.ed25519(signing, encryptionContent(node), node.signature))
    return err(`node ${principalToText(nodeId)} did not sign its encryption key`);
  return ok({ signing, encryption: encryption.value });
}
