/**
 * One port in front of the nodes of a network, as boundary nodes are: each request goes to a node of the subnet that it is for, to the next
 * one in turn, and to another if that cannot be reached. Nothing is changed on the way: any node of a subnet accepts updates and answers
 * queries, and everything that it says is certified or signed. Of the documents about the network each subnet says its part.
 */
import { Agent, type IncomingMessage, request as openRequest } from "node:http";
import { buffer } from "node:stream/consumers";
import type { HttpServer, HttpServerRequest, HttpServerResponse } from "@orrery/host";
import { CHECKPOINT_PATH } from "@orrery/host/checkpoint-request";
import type { Routes } from "@orrery/node/routes";

export interface FrontOptions {
  readonly port: number;
  readonly bind: string;
  readonly routes: Pick<Routes, "subnets" | "defaultSubnet" | "subnetOf" | "isForNetwork">;
  /** Ports of the nodes of a subnet that answer now. */
  readonly ports: (subnet: number) => readonly number[];
  readonly onError: (error: unknown) => void;
  /** How long a node has for an answer, or for the beginning of a long one, before another one is asked; half a minute by default. */
  readonly answerMs?: number;
}

/** Longer than a node holds an update that it waits for. */
const ANSWER_MS = 30_000;
/** A node that stood still is asked last for so long. */
const LATE_MS = 30_000;
const LOOPBACK = "127.0.0.1";
/** Longer bodies pass in pieces. */
const WHOLE_BYTES_MAX: number = 1024 * 1024;
/** Of one connection, not of what it carries. */
const HOP_HEADERS: ReadonlySet<string> = new Set([
  "connection",
  "expect",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);
const UNAVAILABLE = 503;
const NO_NODE: HttpServerResponse = {
  status: UNAVAILABLE,
  headers: { "content-type": "text/plain; charset=utf-8", "access-control-allow-origin": "*" },
  body: "No node of the subnet can be reached.",
};

type Headers = Record<string, string | string[]>;

function headersOf(fields: Iterable<readonly [string, string]>): Headers {
  // Without a prototype, since names come from outside.
  const headers: Headers = Object.create(null);
  for (const [name, value] of fields) {
    if (HOP_HEADERS.has(name)) continue;
    const before = headers[name];
    headers[name] =
      before === undefined ? value : [...(typeof before === "string" ? [before] : before), value];
  }
  return headers;
}

function* fieldsOf({ rawHeaders }: IncomingMessage): Generator<readonly [string, string]> {
  for (let i = 0; i + 1 < rawHeaders.length; i += 2)
    yield [(rawHeaders[i] as string).toLowerCase(), rawHeaders[i + 1] as string];
}

/** Of the body that is sent: what came with a request that has none stays behind. */
function sentHeaders(request: HttpServerRequest): Headers {
  const { "content-length": _, ...headers } = headersOf(request.headers());
  const { length } = request.body;
  return length === 0 ? headers : { ...headers, "content-length": `${length}` };
}

async function answerOf(response: IncomingMessage, method: string): Promise<HttpServerResponse> {
  const headers = headersOf(fieldsOf(response));
  const status = response.statusCode ?? 502;
  const length = Number(response.headers["content-length"] ?? Number.POSITIVE_INFINITY);
  const isWhole = length <= WHOLE_BYTES_MAX || method === "HEAD";
  if (isWhole) return { status, headers, body: await buffer(response) };
  return { status, headers, body: "", stream: response };
}

class Front {
  readonly #options: FrontOptions;
  readonly #agent = new Agent({ keepAlive: true });
  #turn = 0;
  /** Subnets that are always there: of one that came later nodes may have gone. */
  readonly #begun: number;
  /** Ports of nodes that stood still, and when they did. */
  readonly #late = new Map<number, number>();

  constructor(options: FrontOptions) {
    this.#options = options;
    this.#begun = options.routes.subnets;
  }

  handle(request: HttpServerRequest): Promise<HttpServerResponse> {
    const { method, url } = request;
    const { routes } = this.#options;
    if (routes.isForNetwork(request)) {
      const merge = method === "GET" ? MERGED[url] : undefined;
      if (merge !== undefined) return this.#merged(request, merge);
      if (method === "POST" && url === CHECKPOINT_PATH) return this.#everywhere(request);
    }
    return this.#lead(request, routes.subnetOf(request));
  }

  /** Whoever reads the network's directories next may read any of them. */
  async #everywhere(request: HttpServerRequest): Promise<HttpServerResponse> {
    const { routes, ports } = this.#options;
    const all = new Set(Array.from({ length: routes.subnets }, (_, subnet) => ports(subnet)).flat());
    const answers = await Promise.all([...all].map((port) => this.#pass(request, port)));
    return answers.find((answer) => answer !== null && answer.status >= 300) ?? answers[0] ?? NO_NODE;
  }

  close(): void {
    this.#agent.destroy();
  }

  /** Tries one node of the subnet after another. */
  async #lead(request: HttpServerRequest, subnet: number): Promise<HttpServerResponse> {
    let last = NO_NODE;
    for (const port of this.#inTurn(this.#options.ports(subnet))) {
      const answer = await this.#pass(request, port);
      if (answer === null) continue;
      // One that starts, or has too much to do, has done nothing; of a canister's pages it is an answer like others.
      if (answer.status !== UNAVAILABLE || !request.url.startsWith("/api/")) return answer;
      last = answer;
    }
    return last;
  }

  /** Each begins in turn; those that stood still a moment ago come last. */
  #inTurn(all: readonly number[]): readonly number[] {
    const first = all.length === 0 ? 0 : this.#turn++ % all.length;
    const turned = [...all.slice(first), ...all.slice(0, first)];
    const since = performance.now() - LATE_MS;
    const isLate = (port: number): boolean => (this.#late.get(port) ?? Number.NEGATIVE_INFINITY) > since;
    return [...turned.filter((port) => !isLate(port)), ...turned.filter(isLate)];
  }

  /** Null when the node did not get it, or does no harm if another one gets it too. */
  #pass(request: HttpServerRequest, port: number): Promise<HttpServerResponse | null> {
    const { method, url, body } = request;
    const isRepeatable = method === "GET" || method === "HEAD" || url.startsWith("/api/");
    return new Promise((resolve, reject) => {
      const sent = openRequest({
        host: LOOPBACK,
        port,
        method,
        path: url,
        headers: sentHeaders(request),
        setHost: false,
        // When a connection that was open before ends, nobody knows whether the node got what was sent over it.
        agent: isRepeatable ? this.#agent : false,
      });
      const { answerMs = ANSWER_MS } = this.#options;
      // A process that stands still takes connections all the same.
      const standsStill = (): void => {
        this.#late.set(port, performance.now());
        sent.destroy(new Error("the node stands still"));
      };
      const timer = isRepeatable ? setTimeout(standsStill, answerMs) : undefined;
      sent.once("close", () => clearTimeout(timer));
      sent.once("response", (response) => {
        answerOf(response, method).then((answer) => {
          clearTimeout(timer);
          this.#late.delete(port);
          resolve(answer);
        }, failed);
      });
      const failed = (error: NodeJS.ErrnoException): void => {
        if (isRepeatable || error.code === "ECONNREFUSED") resolve(null);
        else reject(error);
      };
      sent.once("error", failed);
      sent.end(body);
    });
  }

  /** A document of which each subnet's nodes say their part. */
  async #merged(request: HttpServerRequest, merge: Merge): Promise<HttpServerResponse> {
    const { ports, routes } = this.#options;
    const { subnets, defaultSubnet } = routes;
    const all = Array.from({ length: subnets }, (_, subnet) => subnet).filter(
      (subnet) => subnet < this.#begun || ports(subnet).length > 0,
    );
    const answers = await Promise.all(all.map((subnet) => this.#lead(request, subnet)));
    const failed = answers.find(({ status }) => status !== 200);
    if (failed !== undefined) return failed;
    const parts = answers.map(({ body }): Document => JSON.parse(Buffer.from(body).toString("utf8")));
    const main = defaultSubnet;
    const { "content-length": _, ...headers } = (answers[main] as HttpServerResponse).headers;
    const document = { ...parts[main], ...merge(parts) };
    return { status: 200, headers, body: `${JSON.stringify(document)}\n` };
  }
}

type Document = Readonly<Record<string, unknown>>;
type Merge = (parts: readonly Document[]) => Document;

/** What is listed by subnet, each of which is there once: a process may host nodes of several. */
const MERGED: Readonly<Record<string, Merge>> = {
  "/_/subnets": (parts) => {
    const all = parts.flatMap((part) => part["subnets"] as readonly { readonly id: string }[]);
    return { subnets: [...new Map(all.map((subnet) => [subnet.id, subnet])).values()] };
  },
  "/_/topology": (parts) => ({
    subnet_configs: Object.assign({}, ...parts.map((part) => part["subnet_configs"])),
  }),
};

/** `port_taken` and `listen_failed` as a node has them. */
export async function startFront(options: FrontOptions): Promise<HttpServer> {
  const { startHttpServer } = await import("@orrery/host");
  const front = new Front(options);
  const { port, bind, onError } = options;
  const server = await startHttpServer({ port, bind, handle: (request) => front.handle(request), onError });
  return {
    port: server.port,
    async close(): Promise<void> {
      front.close();
      await server.close();
    },
  };
}
