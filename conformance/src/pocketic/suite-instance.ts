/** An instance of the PocketIC server that the conformance suite runs against, and what it does otherwise on purpose. */
import type { Identity } from "../suite/identity.ts";
import type { Outside } from "../suite/outside.ts";
import { newInstance, startServer } from "./server.ts";

/** Cases that an instance fails, and why. */
export const OTHERWISE: ReadonlyMap<string, string> = new Map([
  [
    "Principals: a subnet's id is the principal of its key",
    "named subnets have the ids that they have on the public network, with keys of their own",
  ],
  [
    "Management: provisional API: a specified id that exists is rejected",
    "ids of generated ranges cannot be asked for, whether they exist or not",
  ],
  ["Management: HTTPS outcalls: http: is a reject", "automatic progress makes outcalls to http: URLs too"],
]);

const NEW = { state_config: "New" };

export interface SuiteInstance {
  readonly url: string;
  end(): Promise<void>;
}

/** A server with an instance that lives by the machine's clock, has a subnet of each kind, and trusts `outside`. */
export async function startInstanceBeside(outside: Outside, administrator: Identity): Promise<SuiteInstance> {
  const server = await startServer({
    arguments: ["--log-levels", "error"],
    environment: { NODE_EXTRA_CA_CERTS: outside.certificateFile },
  });
  const id = await newInstance(server, {
    subnet_config_set: {
      nns: NEW,
      ii: NEW,
      test_threshold_keys: NEW,
      application: [NEW, NEW],
      cloud_engine: [
        { ...NEW, subnet_admins: [{ principal_id: Buffer.from(administrator.sender).toString("base64") }] },
      ],
    },
    initial_time: { AutoProgress: { artificial_delay_ms: null } },
  });
  return {
    url: `${server.url}/instances/${id}/`,
    end: async () => void (await server.end()),
  };
}
