/** `POST /verify_signature`: whether a canister signature is good under a root key. */
import type { Bls } from "@orrery/crypto";
import { blsFromDer, createSignatureVerifier, parsePublicKeyDer } from "@orrery/crypto";
import { nodeSignatures } from "@orrery/host/signatures";
import { type Answer, jsonAnswer } from "./answers.ts";
import { encodeJson } from "./json.ts";
import { bytes, readBody, record, ShapeError } from "./shapes.ts";

const fields = record({ msg: bytes, sig: bytes, pubkey: bytes, root_pubkey: bytes });

const failed = (status: number, why: string): Answer => jsonAnswer(status, encodeJson({ Err: why }));

export function verifySignature(body: Uint8Array, bls: Bls): Answer {
  try {
    const {
      msg: message,
      sig: signature,
      pubkey: publicKeyDer,
      root_pubkey: rootKeyDer,
    } = readBody(body, fields);
    const key = parsePublicKeyDer(publicKeyDer);
    const why = key.ok ? (key.value.kind === "canister" ? null : `a ${key.value.kind} key`) : key.error;
    if (why !== null) return failed(400, `Failed to parse DER encoded public key: ${why}`);
    const root = blsFromDer(rootKeyDer);
    if (!root.ok) return failed(400, `Failed to parse DER encoded root public key: ${root.error}`);
    const verifier = createSignatureVerifier({
      basic: nodeSignatures,
      canisterSignatures: { rootKeyDer, bls },
    });
    const verdict = verifier.verify({ publicKeyDer, message, signature });
    if (!verdict.ok) return failed(406, `Canister signature verification failed: ${verdict.error}`);
    return jsonAnswer(200, encodeJson({ Ok: null }));
  } catch (error) {
    if (error instanceof ShapeError) return failed(400, error.message);
    throw error;
  }
}
