/** `/_/registry` of a node: what the registry says, as a document, and records that an operator brings. */
import { err, OrreryError, principalToText, type Result, toHex } from "@orrery/base";
import type { HttpRequest, HttpResponse } from "@orrery/http";
import { decodeRecord, mutationHash, RECORD_BYTES_MAX, type RegistryRecord } from "./record.ts";
import type { Registry } from "./registry.ts";
import { encodeRecords } from "./registry-file.ts";

export const REGISTRY_PATH = "/_/registry";

export interface RegistryService {
  readonly registry: Registry;
  submit(record: RegistryRecord): Result<void, string>;
}

/** What `orrery node registry` shows. */
export interface RegistryDocument {
  readonly v: "1";
  readonly version: number;
  readonly subnets: readonly {
    readonly nodes: readonly { readonly id: string; readonly place: number; readonly address: string }[];
    readonly halts: boolean;
    readonly interval_length: number;
    /** Null: no record named one. */
    readonly replica_version: string | null;
  }[];
  /** Hashes by version, from the second on. */
  readonly history: readonly { readonly version: number; readonly hash: string }[];
  /** All records, hexadecimal. */
  readonly records: string;
}

function documentOf(registry: Registry): RegistryDocument {
  const { version } = registry;
  const records = registry.since(0);
  return {
    v: "1",
    version,
    subnets: registry.subnets.map((subnet) => ({
      nodes: registry.members(subnet, version).map((place) => {
        const nodeId = registry.nodes(subnet)[place]?.nodeId ?? new Uint8Array(0);
        const process = registry.processes.find(({ nodes }) =>
          nodes.some((node) => node.subnet === subnet && node.place === place),
        );
        const { host = "", port = 0 } = process?.address ?? {};
        return { id: principalToText(nodeId), place, address: `${host}:${port}` };
      }),
      halts: registry.halts(subnet, version),
      interval_length: registry.intervalLength(subnet, version),
      replica_version: registry.upgrade(subnet, version)?.to ?? null,
    })),
    history: records.map(({ mutation }) => ({
      version: mutation.version,
      hash: toHex(mutationHash(mutation)),
    })),
    records: toHex(encodeRecords(records)),
  };
}

const JSON_HEADERS = { "content-type": "application/json", "access-control-allow-origin": "*" };

function submit(service: RegistryService, body: Uint8Array): Result<void, string> {
  if (body.length > RECORD_BYTES_MAX) return err(`it has more than ${RECORD_BYTES_MAX} bytes`);
  try {
    return service.submit(decodeRecord(body));
  } catch (error) {
    if (error instanceof OrreryError) return err(error.message);
    throw error;
  }
}

/** Null for what it does not answer. */
export function answerRegistry(request: HttpRequest, service: RegistryService): HttpResponse | null {
  if (request.method === "GET") {
    const body = `${JSON.stringify(documentOf(service.registry))}\n`;
    return { status: 200, headers: JSON_HEADERS, body };
  }
  if (request.method !== "POST") return null;
  const submitted = submit(service, request.body);
  const { version } = service.registry;
  const said = submitted.ok ? { v: "1", version } : { v: "1", version, refused: submitted.error };
  return { status: submitted.ok ? 200 : 400, headers: JSON_HEADERS, body: `${JSON.stringify(said)}\n` };
}
