/**
 * Host names that name a canister (HTTP gateway protocol, "Canister ID Resolution"): `<id>.<domain>`, `<id>.raw.<domain>` whose
 * responses are not verified, either with `<anything>--` before the id, and custom domains, which can be replaced while running. A
 * custom domain goes before the rest. Domains are `localhost` and those configured.
 */
import { type CanisterId, OrreryError, principalFromText } from "@orrery/base";
import { hostName } from "./host-check.ts";

export interface CanisterHost {
  readonly canisterId: CanisterId;
  /** Responses go out unverified. */
  readonly raw: boolean;
}

export interface CanisterHosts {
  /** The canister that a Host header names; null when it names none. */
  find(header: string | undefined): CanisterHost | null;
  /** From now on these, by lower-case host name without a port, and no others. */
  setCustomDomains(domains: ReadonlyMap<string, CanisterId>): void;
}

const RAW = "raw";
/** Between a label of the user's own and the canister id. */
const LABEL_SEPARATOR = "--";

/** The canister id that the text is; null when it is none. */
export function canisterIdOf(text: string): CanisterId | null {
  try {
    const principal = principalFromText(text);
    return principal.length === 0 ? null : principal;
  } catch (cause) {
    if (cause instanceof OrreryError) return null;
    throw cause;
  }
}

function findUnder(domain: string, host: string): CanisterHost | null {
  if (!host.endsWith(`.${domain}`)) return null;
  const labels = host.slice(0, -domain.length - 1).split(".");
  const raw = labels.length === 2 && labels[1] === RAW;
  if (labels.length !== 1 && !raw) return null;
  const canisterId = canisterIdOf(labels[0]?.split(LABEL_SEPARATOR).at(-1) ?? "");
  return canisterId === null ? null : { canisterId, raw };
}

/** `domains`: lower-case names that canisters are served below, besides `localhost`. */
export function createCanisterHosts(domains: readonly string[] = []): CanisterHosts {
  const all = ["localhost", ...domains.filter((domain) => domain !== "localhost")];
  let custom: ReadonlyMap<string, CanisterId> = new Map();
  return {
    find(header) {
      if (header === undefined) return null;
      const host = hostName(header);
      const canisterId = custom.get(host);
      if (canisterId !== undefined) return { canisterId, raw: false };
      for (const domain of all) {
        const found = findUnder(domain, host);
        if (found !== null) return found;
      }
      return null;
    },
    setCustomDomains(replacement) {
      custom = new Map(replacement);
    },
  };
}
