/**
 * The admin interface that the launcher announces as `config_port`, for the network as instance 0: the part of the PocketIC protocol that means
 * something on a network that lives by the clock. Tools move its time on (`update/set_time`), ask for it, for the topology and for a
 * round; what belongs to instances that stand still is refused by name.
 */
import { createServer, type IncomingMessage, type Server } from "node:http";
import { type AddressInfo, isIP } from "node:net";
import { encodeCbor, OrreryError, type TimeNs } from "@orrery/base";
import { LATEST_NS, type MovableClock } from "./clock.ts";

/** What it tells of and moves. */
export interface AdminOptions {
  readonly clock: MovableClock;
  /** Of the network: its address, and an id of each subnet. */
  readonly url: string;
  readonly effectiveIds: readonly string[];
  readonly domains: readonly string[];
}

export interface Admin {
  readonly port: number;
  /** From now on there is a network. */
  serve(network: AdminOptions): void;
  close(): Promise<void>;
}

interface Answer {
  readonly status: number;
  /** JSON; null: nothing. */
  readonly body: string | null;
}

/** Times and the words around them. */
const BODY_BYTES_MAX = 4_194_304;
const INSTANCE = "/instances/0/";
const EXPIRY_NS = 60_000_000_000n;
const U64_MAX: bigint = 2n ** 64n - 1n;
const ANONYMOUS: Uint8Array = Uint8Array.of(4);

const json = (status: number, body: string): Answer => ({ status, body });
const message = (status: number, text: string): Answer => json(status, JSON.stringify({ message: text }));
const NULL: Answer = json(200, "null");

/** A certificate of now: rounds run on every subnet, timers that became due among them. */
async function freshen({ url, effectiveIds, clock }: AdminOptions): Promise<void> {
  const content = {
    request_type: "read_state",
    sender: ANONYMOUS,
    ingress_expiry: clock.now() + EXPIRY_NS,
    paths: [[new TextEncoder().encode("time")]],
  };
  const body = encodeCbor({ content }) as Uint8Array<ArrayBuffer>;
  for (const id of effectiveIds) {
    const response = await fetch(`${url}/api/v2/canister/${id}/read_state`, {
      method: "POST",
      headers: { "content-type": "application/cbor" },
      body,
    });
    await response.arrayBuffer();
  }
}

/** `{"nanos_since_epoch": N}`, to the last digit; null when it is something else. */
function timeOf(body: Uint8Array): TimeNs | null {
  try {
    const reviver = (_: string, value: unknown, context?: { readonly source?: string }): unknown =>
      typeof value === "number" && /^\d{1,20}$/.test(context?.source ?? "")
        ? BigInt(context?.source as string)
        : value;
    const value: unknown = JSON.parse(Buffer.from(body).toString("utf8"), reviver);
    const time = (value as { readonly nanos_since_epoch?: unknown } | null)?.nanos_since_epoch;
    return typeof time === "bigint" && time <= U64_MAX ? time : null;
  } catch {
    return null;
  }
}

async function setTime(options: AdminOptions, body: Uint8Array): Promise<Answer> {
  const { clock } = options;
  const time = timeOf(body);
  if (time === null)
    return message(400, 'expected {"nanos_since_epoch": N}, N a whole number of nanoseconds since 1970');
  const now = clock.now();
  if (time < now) return message(400, `SettingTimeIntoPast((${now}, ${time}))`);
  if (time > LATEST_NS)
    return message(400, `${time} is later than a network can be moved to: ${LATEST_NS}, the year 2500`);
  clock.moveTo(time);
  await freshen(options);
  return NULL;
}

async function proxied({ url }: AdminOptions, request: IncomingMessage, path: string, body: Uint8Array) {
  const type = request.headers["content-type"];
  return await fetch(`${url}/${path}`, {
    method: request.method ?? "GET",
    ...(type === undefined ? {} : { headers: { "content-type": type } }),
    ...(request.method === "POST" ? { body: body as Uint8Array<ArrayBuffer> } : {}),
  });
}

/** What concerns the one instance. */
async function instance(
  options: AdminOptions,
  method: string,
  path: string,
  body: Uint8Array,
): Promise<Answer> {
  switch (`${method} ${path}`) {
    case "GET read/get_time":
      return json(200, `{"nanos_since_epoch":${options.clock.now()}}`);
    case "POST update/set_time":
    case "POST update/set_certified_time":
      return await setTime(options, body);
    case "POST update/tick":
      await freshen(options);
      return NULL;
    case "GET auto_progress":
      return json(200, "true");
    case "POST auto_progress":
      return message(400, "the network lives by the clock already");
    case "POST stop_progress":
      return message(
        400,
        "a network of the launcher lives by the clock; use bin/pocket-ic for one that stands still",
      );
    default:
      return message(
        404,
        `${method} ${path} is not for a network that lives by the clock; bin/pocket-ic serves the whole PocketIC protocol`,
      );
  }
}

async function answer(
  options: AdminOptions,
  method: string,
  path: string,
  body: Uint8Array,
): Promise<Answer> {
  if (path.startsWith(INSTANCE)) return await instance(options, method, path.slice(INSTANCE.length), body);
  const port = Number(new URL(options.url).port);
  const gateway = {
    instance_id: 0,
    port,
    forward_to: { PocketIcInstance: 0 },
    domains: options.domains,
    https_config: null,
  };
  switch (`${method} ${path}`) {
    case "GET /status":
      return { status: 200, body: null };
    case "GET /instances":
      return json(200, '["Available"]');
    case "GET /http_gateway":
      return json(200, JSON.stringify([gateway]));
    case "DELETE /instances/0":
      return message(400, "this is the launcher's network: end it with icp network stop");
    default:
      return message(
        404,
        `there is no ${method} ${path} here; bin/pocket-ic serves the whole PocketIC protocol`,
      );
  }
}

const isLocalName = (name: string): boolean => name === "localhost" || name.endsWith(".localhost");

/** Whether a page that this machine serves asks. An address alone says nothing: sites have addresses too. */
function isLocalOrigin(origin: string): boolean {
  if (!URL.canParse(origin)) return false;
  const { hostname } = new URL(origin);
  return (
    isLocalName(hostname) || hostname === "[::1]" || (isIP(hostname) === 4 && hostname.startsWith("127."))
  );
}

/** Pages of other sites do not get here, by their own names or by one that leads to this machine. */
function isForeign({ headers: { origin, host = "" } }: IncomingMessage): boolean {
  const name = host.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
  if (!isLocalName(name) && isIP(name) === 0) return true;
  return origin !== undefined && !isLocalOrigin(origin);
}

async function bodyOf(request: IncomingMessage): Promise<Uint8Array | null> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes <= BODY_BYTES_MAX) pieces.push(piece);
  }
  return bytes > BODY_BYTES_MAX ? null : new Uint8Array(Buffer.concat(pieces));
}

function serverOf(network: () => AdminOptions | null): Server {
  return createServer((request, response) => {
    const end = ({ status, body }: Answer): void => {
      response.writeHead(status, body === null ? {} : { "content-type": "application/json" });
      response.end(body ?? undefined);
    };
    const work = async (): Promise<void> => {
      const { pathname, search } = new URL(request.url ?? "/", "http://localhost");
      const path = pathname.length > 1 ? pathname.replace(/\/$/, "") : pathname;
      const method = request.method ?? "GET";
      if (isForeign(request)) return end(message(403, "only programs of this machine may ask"));
      const options = network();
      if (options === null) return end(message(503, "the network is starting"));
      const body = await bodyOf(request);
      if (body === null) return end(message(413, `the body is larger than ${BODY_BYTES_MAX} bytes`));
      const passed = /^\/instances\/0\/(api\/.+|_\/topology|read\/topology)$/.exec(path)?.[1];
      if (passed === undefined) return end(await answer(options, method, path, body));
      const there = await proxied(options, request, passed.replace(/^read\//, "_/") + search, body);
      response.writeHead(there.status, {
        "content-type": there.headers.get("content-type") ?? "application/json",
      });
      response.end(new Uint8Array(await there.arrayBuffer()));
    };
    work().catch((error: unknown) => end(message(500, (error as Error).message)));
  });
}

/** Listens, before there is a network: a port that is taken is told at once. `port` 0 takes any free one. Errors: `config_port_unavailable`. */
export async function openAdmin({
  port,
  bind,
}: {
  readonly port: number;
  readonly bind: string;
}): Promise<Admin> {
  let network: AdminOptions | null = null;
  const server = serverOf(() => network);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", (cause: NodeJS.ErrnoException) =>
    reject(
      new OrreryError(
        "config_port_unavailable",
        `--config-port ${port} at ${bind} cannot be listened on (${cause.code ?? cause.message}); choose another, or 0 for any free one`,
        { cause },
      ),
    ),
  );
  server.listen({ port, host: bind }, resolve);
  await promise;
  return {
    port: (server.address() as AddressInfo).port,
    serve(options) {
      network = options;
    },
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}
