/**
 * HTTPS outcalls to the world (interface spec, "http_request"): one request, certificates checked, no redirect followed, IPv6 and
 * IPv4, headers and body counted while they come, a limit on time and on what runs at once. Reject codes and texts are those of
 * the replica's adapter. A canister that may make outcalls speaks from this machine: `privateAddresses: false` keeps it from
 * addresses that only this machine or its network can reach.
 */
import { lookup as resolve } from "node:dns";
import { request as httpRequest, type IncomingMessage, Agent as PlainAgent } from "node:http";
import { Agent, request as httpsRequest } from "node:https";
import { BlockList, isIP, type LookupFunction } from "node:net";
import type { FetchedOutcall } from "@orrery/execution";
import type { HttpHeader, OutcallMethod } from "@orrery/state";

export interface OutcallRequest {
  readonly url: string;
  readonly method: OutcallMethod;
  readonly headers: readonly HttpHeader[];
  readonly body: Uint8Array | null;
  /** Headers and body of the response. */
  readonly maxResponseBytes: number;
}

/** Makes outcalls. Never throws: what goes wrong is a failure with a reject code. */
export interface OutcallAdapter {
  fetch(request: OutcallRequest): Promise<FetchedOutcall>;
  /** Ends what is under way. */
  close(): void;
}

export interface HttpsOutcallOptions {
  /** Certificates of authorities to trust instead of the usual ones, PEM. */
  readonly ca?: string;
  /** Also take `http:` URLs; no network but a local one does. */
  readonly plainHttp?: boolean;
  /** Whether this machine and its network may be asked; true by default. */
  readonly privateAddresses?: boolean;
  /** The replica's 30 s by default. */
  readonly timeoutMs?: number;
  /** Requests to one host at once; others wait. */
  readonly perHostMax?: number;
}

const TIMEOUT_MS = 30_000;
const PER_HOST_MAX = 32;
/** The specification's 48 KiB of names and values, and room for what is between them. */
const HEADER_BLOCK_BYTES_MAX = 65_536;
const USER_AGENT = "ic/1.0";
const HOST_TEXT_MAX = 50;
const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Visible characters, spaces and tabs: what the replica reads as text. */
const HEADER_TEXT = /^[\t\x20-\x7e]*$/;
/** What may be sent: any byte but controls. */
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\u{10ffff}]*$/u;

const PRIVATE = new BlockList();
for (const [net, prefix] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.168.0.0", 16],
  ["224.0.0.0", 3],
] as const)
  PRIVATE.addSubnet(net, prefix, "ipv4");
for (const [net, prefix] of [
  ["::", 127],
  ["fc00::", 7],
  ["fe80::", 10],
  ["ff00::", 8],
] as const)
  PRIVATE.addSubnet(net, prefix, "ipv6");

/** Whether only this machine or its network can reach an address; mapped IPv4 addresses are what they map. */
export function isPrivateAddress(address: string): boolean {
  return PRIVATE.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
}

class Refused extends Error {
  readonly code = "EPRIVATE";
}

/** Names that resolve to private addresses do not resolve. */
const publicLookup: LookupFunction = (hostname, options, callback) => {
  resolve(hostname, { ...options, all: true }, (error, addresses) => {
    if (error !== null) return callback(error, [], 0);
    const open = addresses.filter(({ address }) => !isPrivateAddress(address));
    const [first] = open;
    if (first === undefined) return callback(new Refused(`${hostname} has no public address`), [], 0);
    if (options.all === true) callback(null, open);
    else callback(null, first.address, first.family);
  });
};

interface Exchange {
  readonly startedAt: number;
  downloadedBytes: number;
}

function failure(exchange: Exchange, code: 1 | 2, message: string): FetchedOutcall {
  return {
    kind: "failure",
    code,
    message,
    downloadedBytes: exchange.downloadedBytes,
    elapsedMs: performance.now() - exchange.startedAt,
  };
}

/** What is wrong with a request before anything is sent, or its URL. */
function parse(request: OutcallRequest, options: HttpsOutcallOptions): URL | string {
  const url = URL.parse(request.url);
  if (url === null) return "Failed to parse URL: invalid format";
  const plain = url.protocol === "http:" && options.plainHttp === true;
  if (url.protocol !== "https:" && !plain) return "Url need to specify https scheme";
  for (const { name, value } of request.headers) {
    if (!HEADER_NAME.test(name)) return "Failed to parse header name invalid HTTP header name";
    if (!HEADER_VALUE.test(value)) return "Failed to parse header value failed to parse header value";
  }
  const host = url.hostname.replace(/^\[|\]$/g, "");
  if (options.privateAddresses === false && isIP(host) !== 0 && isPrivateAddress(host))
    return `Connecting to ${url.hostname} failed: the address is private`;
  return url;
}

function headersOf(response: IncomingMessage): readonly HttpHeader[] {
  const headers: HttpHeader[] = [];
  const raw = response.rawHeaders;
  for (let i = 0; i + 1 < raw.length; i += 2)
    headers.push({ name: (raw[i] as string).toLowerCase(), value: raw[i + 1] as string });
  return headers;
}

interface Receiving {
  readonly exchange: Exchange;
  readonly max: number;
  readonly done: (fetched: FetchedOutcall) => void;
}

/** Reads a response within its limit. */
function receive(response: IncomingMessage, options: Receiving): void {
  const { exchange, max, done } = options;
  const headers = headersOf(response);
  // One character of a raw header is one byte.
  const headerBytes = headers.reduce((sum, { name, value }) => sum + name.length + value.length, 0);
  exchange.downloadedBytes += headerBytes;
  if (headerBytes > max)
    done(failure(exchange, 1, `Header size exceeds specified response size limit ${max}`));
  else if (headers.some(({ value }) => !HEADER_TEXT.test(value)))
    done(failure(exchange, 2, "Failed to parse headers: failed to convert header to a str"));
  else receiveBody(response, { ...options, headers, headerBytes });
}

function receiveBody(
  response: IncomingMessage,
  options: Receiving & { readonly headers: readonly HttpHeader[]; readonly headerBytes: number },
): void {
  const { exchange, max, done, headers, headerBytes } = options;
  const chunks: Uint8Array[] = [];
  let bodyBytes = 0;
  response.on("data", (chunk: Uint8Array) => {
    exchange.downloadedBytes += chunk.length;
    bodyBytes += chunk.length;
    if (bodyBytes > max - headerBytes)
      done(failure(exchange, 1, `Http body exceeds size limit of ${max} bytes.`));
    else chunks.push(chunk);
  });
  response.on("error", (error) => done(failure(exchange, 2, `Failed to fetch body: ${error.message}`)));
  response.on("end", () =>
    done({
      kind: "response",
      status: response.statusCode ?? 0,
      headers,
      body: new Uint8Array(Buffer.concat(chunks)),
      downloadedBytes: exchange.downloadedBytes,
      elapsedMs: performance.now() - exchange.startedAt,
    }),
  );
}

export function createHttpsOutcalls(options: HttpsOutcallOptions = {}): OutcallAdapter {
  const { ca, privateAddresses = true, timeoutMs = TIMEOUT_MS, perHostMax = PER_HOST_MAX } = options;
  const shared = { maxSockets: perHostMax, keepAlive: false };
  const secure = new Agent({ ...shared, ...(ca === undefined ? {} : { ca }) });
  const plain = new PlainAgent(shared);
  const underWay = new Set<AbortController>();

  function send(request: OutcallRequest, url: URL, exchange: Exchange): Promise<FetchedOutcall> {
    const abort = new AbortController();
    underWay.add(abort);
    const { promise, resolve: settle } = Promise.withResolvers<FetchedOutcall>();
    const timer = setTimeout(() => done(failure(exchange, 1, "Timeout expired")), timeoutMs);
    function done(fetched: FetchedOutcall): void {
      clearTimeout(timer);
      if (!underWay.delete(abort)) return;
      settle(fetched);
      abort.abort();
    }
    const start = url.protocol === "https:" ? httpsRequest : httpRequest;
    const client = start(url, {
      method: request.method,
      agent: url.protocol === "https:" ? secure : plain,
      maxHeaderSize: HEADER_BLOCK_BYTES_MAX,
      signal: abort.signal,
      ...(privateAddresses ? {} : { lookup: publicLookup }),
    });
    for (const { name, value } of request.headers) {
      // Values are bytes; the client takes one character for each.
      const bytes = Buffer.from(value, "utf8").toString("latin1");
      if (name.toLowerCase() === "host") client.setHeader(name, bytes);
      else client.appendHeader(name, bytes);
    }
    if (!client.hasHeader("user-agent")) client.setHeader("user-agent", USER_AGENT);
    client.on("response", (response) => receive(response, { exchange, max: request.maxResponseBytes, done }));
    client.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "HPE_HEADER_OVERFLOW") {
        const text = `Header size exceeds specified response size limit ${request.maxResponseBytes}`;
        return done(failure(exchange, 1, text));
      }
      const host = url.hostname.slice(0, HOST_TEXT_MAX);
      const detail =
        error.code === undefined ? error.message : `${error.message || "failed"} (${error.code})`;
      done(failure(exchange, 2, `Connecting to ${host} failed: ${detail}`));
    });
    client.end(request.body ?? undefined);
    return promise;
  }

  return {
    fetch(request): Promise<FetchedOutcall> {
      const exchange: Exchange = { startedAt: performance.now(), downloadedBytes: 0 };
      const url = parse(request, options);
      if (typeof url === "string") return Promise.resolve(failure(exchange, 1, url));
      try {
        return send(request, url, exchange);
      } catch (error) {
        return Promise.resolve(
          failure(exchange, 1, `Failed to make the request: ${(error as Error).message}`),
        );
      }
    },
    close(): void {
      for (const abort of [...underWay]) abort.abort();
      secure.destroy();
      plain.destroy();
    },
  };
}
