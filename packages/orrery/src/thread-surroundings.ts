/** What the thread of the networks lends to each of them: Node.js. */
import { inflateRawSync } from "node:zlib";
import { createMclBls } from "@orrery/crypto/mcl";
import { createNodeSigner, inflateGzip, nodePublicKeyDer, systemRng } from "@orrery/host";
import { nodeSignatures } from "@orrery/host/signatures";
import type { Inflate } from "@orrery/http/gateway";
import { SharedEngine } from "@orrery/sim/instance";
import { startLive } from "./live.ts";
import { RealWorld } from "./outcalls.ts";
import type { Surroundings } from "./room.ts";
import { createWeb } from "./web.ts";

const inflate: Inflate = (encoding, bytes, bytesMax) => {
  try {
    if (encoding === "gzip") return inflateGzip(bytes, bytesMax);
    return new Uint8Array(inflateRawSync(bytes, { maxOutputLength: bytesMax }));
  } catch {
    // The bytes are a canister's: whatever they are, they are not what it certified.
    return null;
  }
};

export async function threadSurroundings(): Promise<Surroundings> {
  const bls = await createMclBls();
  return {
    host: {
      bls,
      inflate: inflateGzip,
      ed25519PublicKeyDer: nodePublicKeyDer,
      ed25519Signer: createNodeSigner,
      engine: new SharedEngine(),
    },
    web: (machine) => createWeb(machine, { bls, signatures: nodeSignatures, rng: systemRng, inflate }),
    realWorld: (options, answer) => new RealWorld(options, answer),
    startLive,
  };
}
