/** An instance of the PocketIC server that the conformance suite runs against, and what it does otherwise on purpose. */
import type { Section } from "../suite/case.ts";
import type { Identity } from "../suite/identity.ts";
import type { Otherwise } from "../suite/otherwise.ts";
import type { Outside } from "../suite/outside.ts";
import { newInstance, startServer } from "./server.ts";

/** Cases that an instance fails, and why. */
export const OTHERWISE: Otherwise = new Map([
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

/** What is otherwise on a subnet with administrators by the specification: cycles count nothing, its canisters sign for nobody. */
export const OTHERWISE_ON_ENGINES: ReadonlySet<Section> = new Set<Section>([
  "Canister cycles",
  "Signatures",
  "System state tree: Subnet information",
  "Effective canister id",
  "Authentication",
  "Self-identification",
  "Cycles",
  "Cost estimation",
  "Heartbeats and low-memory hook",
  "Management: create_canister",
  "Management: update_settings",
  "Management: install_code",
  "Management: uninstall_code",
  "Management: canister_status",
  "Management: canister_metrics",
  "Management: stop_canister and start_canister",
  "Management: delete_canister",
  "Management: fetch_canister_logs",
  "Management: list_canisters",
  "Management: snapshots",
  "Management: provisional API",
  "Management: threshold keys",
  "Management: HTTPS outcalls",
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
