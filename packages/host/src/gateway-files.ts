/** What an HTTP gateway needs of a machine: a file of custom domains that may change, and bodies decompressed. */
import { readFileSync, statSync } from "node:fs";
import { inflateRawSync } from "node:zlib";
import { type CanisterId, OrreryError, principalFromText } from "@orrery/base";
import { inflateGzip } from "./world.ts";

/** Decompresses at most so many bytes; null when there are more or they are not in the format. `deflate` has no zlib header. */
export function inflateBody(
  encoding: "gzip" | "deflate",
  bytes: Uint8Array,
  bytesMax: number,
): Uint8Array | null {
  try {
    return encoding === "gzip"
      ? inflateGzip(bytes, bytesMax)
      : new Uint8Array(inflateRawSync(bytes, { maxOutputLength: bytesMax }));
  } catch {
    // The bytes are a canister's: whatever they are, they are not what it certified.
    return null;
  }
}

/** The file is looked at no more often. */
const DOMAINS_PAUSE_MS = 1_000;
const DOMAINS_BYTES_MAX = 1_048_576;

type Domains = ReadonlyMap<string, CanisterId>;

/** A line is `<host>:<canister id>`; one that is not is passed over, so that a slip does not take all domains down. */
function readDomains(path: string, warn: (line: string) => void): Domains {
  const domains = new Map<string, CanisterId>();
  for (const line of readFileSync(path, "utf8").slice(0, DOMAINS_BYTES_MAX).split("\n")) {
    const [domain = "", id] = line.trim().split(":");
    if (domain === "" || id === undefined) continue;
    try {
      domains.set(domain.toLowerCase(), principalFromText(id.trim()));
    } catch (cause) {
      if (!(cause instanceof OrreryError)) throw cause;
      warn(`${path}: the domain ${domain} is passed over: ${cause.message}`);
    }
  }
  return domains;
}

/**
 * Keeps custom domains as a file has them: `set` gets all of them whenever the file changed, none while there is no file. Called by
 * every request, looks at the file once a second at the most.
 */
export function watchCustomDomains(
  path: string,
  set: (domains: Domains) => void,
  warn: (line: string) => void,
): () => void {
  let lookedMs = Number.NEGATIVE_INFINITY;
  let seen = "";
  return () => {
    if (performance.now() - lookedMs < DOMAINS_PAUSE_MS) return;
    lookedMs = performance.now();
    const stat = statSync(path, { throwIfNoEntry: false });
    const version = stat === undefined ? "" : `${stat.mtimeMs} ${stat.size}`;
    if (version === seen) return;
    seen = version;
    set(stat === undefined ? new Map() : readDomains(path, warn));
  };
}
