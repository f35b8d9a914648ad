/**
 * `/_/…` of a node: what `orrery status` asks, the topology in the form in which tools of the PocketIC server ask for the id that canisters
 * are created at, and the checkpoint that whoever copies the network asks for before.
 */
import { equalBytes, type Principal, principalToText } from "@orrery/base";
import type { LocalSubnet } from "@orrery/execution/local-network";
import { CHECKPOINT_PATH } from "@orrery/host/checkpoint-request";
import type { HttpRequest, HttpResponse } from "@orrery/http";
import type { SubnetInfo } from "@orrery/state";
import type { BySubnet, SubnetIndex } from "./protocol.ts";
import { answerRegistry, REGISTRY_PATH } from "./registry/answer.ts";
import type { SubnetSummary } from "./replica.ts";

export interface AdministrationOptions {
  readonly summary: () => readonly SubnetSummary[];
  /** Those of the summary. */
  readonly subnets: BySubnet<LocalSubnet>;
  /** With the subnets that came to the network. */
  readonly infoNow: (info: SubnetInfo) => SubnetInfo;
  /** Where canisters go by default. */
  readonly defaultSubnet: SubnetIndex;
  /** Writes down what would take a while to run again. */
  readonly checkpoint: () => Promise<void>;
  /** Null where there is no other node. */
  readonly registry: Parameters<typeof answerRegistry>[1] | null;
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

function topology({ subnets, defaultSubnet, infoNow }: AdministrationOptions): unknown {
  const configs = [...subnets].map(([place, local]) => {
    const info = infoNow(local.info);
    const ranges = info.routing.find(({ subnetId }) => equalBytes(info.subnetId, subnetId));
    return [
      principalToText(info.subnetId),
      {
        subnet_kind: place === 0 ? "NNS" : KINDS[info.type],
        canister_ranges: (ranges?.ranges ?? []).map(({ start, end }) => ({
          start: idOf(start),
          end: idOf(end),
        })),
      },
    ];
  });
  return {
    subnet_configs: Object.fromEntries(configs),
    default_effective_canister_id: idOf((subnets.get(defaultSubnet) as LocalSubnet).info.allocation.start),
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
  if (request.url === REGISTRY_PATH && options.registry !== null)
    return answerRegistry(request, options.registry);
  const document = DOCUMENTS[request.url];
  if (document === undefined || request.method !== "GET") return null;
  return {
    status: 200,
    headers: { "content-type": "application/json", "access-control-allow-origin": "*" },
    body: `${JSON.stringify(document(options))}\n`,
  };
}
