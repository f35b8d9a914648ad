/**
 * Host header check against DNS rebinding: a web page's own name that was made to resolve to this machine must not reach the
 * node. Names served are localhost, its subdomains, IP literals (they cannot be rebound) and those configured.
 */

const PORT = /:\d{1,5}$/;
const IPV4 = /^\d{1,3}(\.\d{1,3}){3}$/;

/** Host without port, lower case, without the trailing dot of an absolute name. */
export function hostName(header: string): string {
  const host = header.trim().toLowerCase().replace(PORT, "");
  return host.endsWith(".") ? host.slice(0, -1) : host;
}

/**
 * Whether a request with this Host header is served. `allowed` holds configured names in lower case; `*.example.org` in it
 * allows the subdomains. A missing header is served: browsers always send one.
 */
export function hostAllowed(header: string | undefined, allowed: readonly string[]): boolean {
  if (header === undefined) return true;
  const host = hostName(header);
  if (host === "localhost" || host.endsWith(".localhost")) return true;
  if (IPV4.test(host) || (host.startsWith("[") && host.endsWith("]"))) return true;
  for (const name of allowed) {
    if (name === host || (name.startsWith("*.") && host.endsWith(name.slice(1)))) return true;
  }
  return false;
}
