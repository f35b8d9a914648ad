/**
 * The limit of the query benchmark: an HTTP server that decodes and validates the same envelopes and signs an answer of the same
 * shape, and does nothing else.
 */
import { concatBytes, decodeEnvelope, encodeCbor } from "@orrery/base";
import { createSignatureVerifier, domainSep, queryResponseHash, validateEnvelope } from "@orrery/crypto";
import { createNodeSigner, installFastHashes, startHttpServer, systemClock } from "@orrery/host";
import { nodeSignatures } from "@orrery/host/signatures";

installFastHashes();
const verifier = createSignatureVerifier({ basic: nodeSignatures });
const sign = createNodeSigner(new Uint8Array(32).fill(1));
const identity = new Uint8Array(29).fill(2);
const reply = { arg: Uint8Array.of(0x44, 0x49, 0x44, 0x4c, 0, 1, 0x7d, 0) };

const server = await startHttpServer({
  port: 0,
  bind: "127.0.0.1",
  onError: (error) => console.error(error),
  handle({ body }) {
    const envelope = decodeEnvelope(body);
    if (!envelope.ok) return { status: 400, headers: {}, body: envelope.error };
    const timestamp = systemClock.now();
    const valid = validateEnvelope(envelope.value, { now: timestamp, verifier });
    if (!valid.ok) return { status: 400, headers: {}, body: valid.error.text };
    const hash = queryResponseHash({
      response: { status: "replied", arg: reply.arg },
      timestamp,
      requestId: valid.value.requestId,
    });
    const signature = sign(concatBytes(domainSep("ic-response"), hash));
    return {
      status: 200,
      headers: { "content-type": "application/cbor" },
      body: encodeCbor({ status: "replied", reply, signatures: [{ timestamp, signature, identity }] }),
    };
  },
});
console.log(JSON.stringify({ port: server.port }));
