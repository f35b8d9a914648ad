/**
 * Answers of update calls, kept as they came and judged once the load is over, so that the client's verification is not what is measured. Each has to
 * bring its subnet's signature, under the root's key, on a state in which its own call is replied.
 */
import { decodeCbor, decodeEnvelope, principalFromText, utf8 } from "@orrery/base";
import { type Bls, lookupPath, requestId, verifyCertificate } from "@orrery/crypto";
import { createMclBls } from "@orrery/crypto/mcl";
import { installFastHashes } from "@orrery/host";

interface Answer {
  readonly envelope: Uint8Array;
  readonly certificate: Uint8Array;
}

/** One that verifies the same signature on the same message once. */
function remembering(bls: Bls): Bls & { readonly signatures: number } {
  const known = new Map<string, boolean>();
  return {
    ...bls,
    verify(publicKey, message, signature): boolean {
      const name = Buffer.concat([publicKey, signature, message]).toString("latin1");
      const holds = known.get(name) ?? bls.verify(publicKey, message, signature);
      known.set(name, holds);
      return holds;
    },
    get signatures(): number {
      return known.size;
    },
  };
}

async function rootKeyOf(port: number): Promise<Uint8Array> {
  const response = await fetch(`http://127.0.0.1:${port}/api/v2/status`);
  const status = decodeCbor(new Uint8Array(await response.arrayBuffer())) as ReadonlyMap<string, unknown>;
  return status.get("root_key") as Uint8Array;
}

export class CertifiedAnswers {
  readonly #answers: Answer[] = [];

  get count(): number {
    return this.#answers.length;
  }

  /** Throws when it is no certified answer. */
  add(envelope: Uint8Array, body: Uint8Array): void {
    const fields = decodeCbor(body) as ReadonlyMap<string, unknown>;
    const certificate = fields.get("certificate");
    if (fields.get("status") !== "replied" || !(certificate instanceof Uint8Array))
      throw new Error(`an update was answered with ${Buffer.from(body)}`);
    this.#answers.push({ envelope, certificate });
  }

  /** Throws at the first that is wrong; how many signatures they have between them. */
  async verify(network: { readonly port: number }, canisterId: string): Promise<number> {
    installFastHashes();
    const [rootKeyDer, bls] = [await rootKeyOf(network.port), remembering(await createMclBls())];
    const scope = { canister: principalFromText(canisterId) };
    for (const { envelope, certificate } of this.#answers) {
      const verified = verifyCertificate({ bytes: certificate, rootKeyDer, scope, bls });
      if (!verified.ok) throw new Error(`a certificate is wrong: ${verified.error.message}`);
      const decoded = decodeEnvelope(envelope);
      if (!decoded.ok) throw new Error(`a request cannot be read: ${decoded.error}`);
      const id = requestId(decoded.value.content.fields);
      const status = lookupPath(verified.value.tree, [utf8("request_status"), id, utf8("status")]);
      if (status.kind !== "found" || Buffer.from(status.value).toString() !== "replied")
        throw new Error("a certificate does not say that its call is replied");
    }
    return bls.signatures;
  }
}
