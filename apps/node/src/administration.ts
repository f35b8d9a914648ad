/**
 * `/_/…` of a node: what `orrery status` asks, the topology in the form in which tools of the PocketIC server ask for the id that canisters
 * are created at, and the checkpoint that whoever copies the network asks for before.
 */
import { type Principal, principalFromText } from "@orrery/base";
import type { LocalSubnet } from "@orrery/execution/local-network";
import { CHECKPOINT_PATH } from "@orrery/host/checkpoint-request";
import type { HttpRequest, HttpResponse } from "@orrery/http";
import type { SubnetSummary } from "./replica.ts";

export interface AdministrationOptions {
  readonly summary: () => readonly SubnetSummary[];
  /** The root first, as in the summary. */
  readonly subnets: readonly LocalSubnet[];
  /** Place of the subnet where canisters go by default. */
  readonly defaultSubnet: number;
  /** Writes down what would take a while to run again. */
  readonly checkpoint: () => Promise<void>;
}

const KINDS: Readonly<Record<string, string>> = {
  application: "Application",
  verified_application: "VerifiedApplication",
  system: "System",
  cloud_engine: "CloudEngine",
};

const idOf = (id: Principal): { readonly canister_id: string } => ({
  canister_id: Buffer.from(id).toString("base64"),
});

function topology({ summary, subnets, defaultSubnet }: AdministrationOptions): unknown {
  const summaries = summary();
  const configs = summaries.map(({ id, kind }, place) => {
    const ranges = subnets[place]?.info.routing.find(
      ({ subnetId }) => principalFromText(id).join() === subnetId.join(),
    );
    return [
      id,
      {
        subnet_kind: place === 0 ? "NNS" : KINDS[kind],
        canister_ranges: (ranges?.ranges ?? []).map(({ start, end }) => ({
          start: idOf(start),
          end: idOf(end),
        })),
      },
    ];
  });
  const first = summaries[defaultSubnet]?.defaultEffectiveCanisterId ?? "";
  return {
    subnet_configs: Object.fromEntries(configs),
    default_effective_canister_id: idOf(principalFromText(first)),
  };
}

const DOCUMENTS: Readonly<Record<string, (options: AdministrationOptions) => unknown>> = {
  "/_/subnets": ({ summary }) => ({ v: "1", subnets: summary() }),
  "/_/topology": topology,
};

/** Answers `GET` of a document and `POST` of a checkpoint, and leaves everything else to the 404. */
export async function administer(
  request: HttpRequest,
  options: AdministrationOptions,
): Promise<HttpResponse | null> {
  if (request.url === CHECKPOINT_PATH && request.method === "POST") {
    await options.checkpoint();
    return { status: 204, headers: {}, body: "" };
  }
  const document = DOCUMENTS[request.url];
  if (document === undefined || request.method !== "GET") return null;
  return {
    status: 200,
    headers: { "content-type": "application/json", "access-control-allow-origin": "*" },
    body: `${JSON.stringify(document(options))}\n`,
  };
}
