/** The server without sockets and process: what each request of the protocol leads to. */
import { type Answer, failure, jsonAnswer, NULL_ANSWER, PREFLIGHT, withCors } from "./answers.ts";
import { BlobStore } from "./blobs.ts";
import { gatewayRequest, instanceConfig } from "./config.ts";
import { createGateways, type Gateways } from "./gateways.ts";
import { createInstances, type Instances } from "./instances.ts";
import { encodeJson } from "./json.ts";
import type { ListenerRequest } from "./listener.ts";
import type { Log } from "./log.ts";
import { createLongOperations, timeoutOf } from "./long-operations.ts";
import { openApi } from "./open-api.ts";
import { createPool } from "./pool.ts";
import { bodyBytesMax, OPERATIONS, type Route, routeOf } from "./routes.ts";
import { bytes, readBody, record, ShapeError } from "./shapes.ts";

export interface ServerOptions {
  readonly log: Log;
  /** Names that requests to gateways may be addressed to, beside localhost and addresses. */
  readonly hosts: readonly string[];
  readonly threadsMax: number;
}

export interface Server {
  /** How large the body may be. */
  admit(method: string, url: string): { readonly bytesMax: number };
  answer(request: ListenerRequest): Promise<Answer>;
  /** Loads what the first instance needs. */
  prepare(): void;
  /** `performance.now()` of the newest request to a gateway; infinite while one is under way. */
  gatewaysIdleSinceMs(): number;
  /** Deletes all instances, which writes the state of those that keep it; whether all were written. */
  end(): Promise<boolean>;
}

/** A stable memory by the id of its blob. */
const stableMemory = record({ canister_id: bytes, blob_id: bytes });

/** Answers what the shape of a request makes it; other errors are the server's. */
async function shaped(what: () => Promise<Answer>, fail: (message: string) => Answer): Promise<Answer> {
  try {
    return await what();
  } catch (error) {
    if (error instanceof ShapeError) return fail(error.message);
    throw error;
  }
}

const badRequest = (message: string): Answer => failure(400, message);
/** Failures to create something have a shape of their own. */
const notCreated = (status: number, message: string): Answer =>
  jsonAnswer(status, encodeJson({ Error: { message } }));

interface Parts {
  readonly instances: Instances;
  readonly gateways: Gateways;
  readonly blobs: BlobStore;
}

async function createInstance({ instances, gateways }: Parts, body: Uint8Array): Promise<Answer> {
  const { config, gateway } = readBody(body, instanceConfig);
  const created = await instances.create(config);
  if ("error" in created) return notCreated(400, created.error);
  const { id, topology } = created;
  let gatewayInfo = "null";
  if (gateway !== null) {
    const opened = await gateways.create({ ...gateway, forward_to: { kind: "PocketIcInstance", value: id } });
    if ("error" in opened) {
      await instances.delete(id);
      return notCreated(400, opened.error);
    }
    gatewayInfo = encodeJson({ instance_id: opened.id, port: opened.port });
  }
  const fields = `"instance_id":${id},"topology":${topology},"http_gateway_info":${gatewayInfo}`;
  return jsonAnswer(201, `{"Created":{${fields}}}`);
}

async function operate(
  { instances, blobs }: Parts,
  route: Extract<Route, { kind: "operation" }>,
  body: Uint8Array<ArrayBuffer>,
): Promise<Answer> {
  const { instance, name } = route;
  if (name !== "update/set_stable_memory") return await instances.operate(instance, name, body);
  const refused = instances.refuse(instance);
  if (refused !== null) return refused;
  const { blob_id } = readBody(body, stableMemory);
  const content = blobs.content(Buffer.from(blob_id).toString("hex"));
  if (content === null) return failure(400, 'ConversionError { message: "Bad blob id" }');
  if (typeof content === "string") return failure(400, `ConversionError { message: "${content}" }`);
  return await instances.operate(instance, name, body, content);
}

async function deleteInstance({ instances, gateways }: Parts, id: number): Promise<Answer> {
  await gateways.stopThoseOf(id);
  return await instances.delete(id);
}

async function createGateway({ gateways }: Parts, body: Uint8Array): Promise<Answer> {
  const opened = await gateways.create(readBody(body, gatewayRequest));
  if ("error" in opened) return notCreated(502, opened.error);
  return jsonAnswer(201, encodeJson({ Created: { instance_id: opened.id, port: opened.port } }));
}

export function createServer({ log, hosts, threadsMax }: ServerOptions): Server {
  const pool = createPool(threadsMax);
  const instances = createInstances(pool);
  const gateways = createGateways({ instances, log, hosts });
  const parts: Parts = { instances, gateways, blobs: new BlobStore() };
  const long = createLongOperations();

  function withRoute(route: Route, request: ListenerRequest): Answer | Promise<Answer> {
    const { body, header, headers, method } = request;
    switch (route.kind) {
      case "status":
        return jsonAnswer(200, "");
      case "openapi":
        return jsonAnswer(200, openApi(OPERATIONS));
      case "preflight":
        return PREFLIGHT;
      case "refused":
        return failure(route.status, route.message);
      case "store_blob":
        return parts.blobs.store(body, header("content-encoding"));
      case "blob":
        return parts.blobs.answer(route.id);
      case "verify_signature":
        return pool.pick().call<Answer>({ kind: "verify_signature", body }, [body.buffer]);
      case "read_graph":
        return long.read(route.label, route.operation);
      case "prune_graph":
        return long.prune(route.label, route.operation);
      case "instances":
        return jsonAnswer(200, encodeJson(instances.list()));
      case "create_instance":
        return shaped(
          () => createInstance(parts, body),
          (message) => notCreated(400, message),
        );
      case "delete_instance":
        return deleteInstance(parts, route.instance);
      case "operation": {
        const answer = shaped(() => operate(parts, route, body), badRequest);
        return long.hold(route.name, timeoutOf(header("processing-timeout-ms")), answer);
      }
      case "api": {
        const url =
          route.path + (request.url.includes("?") ? request.url.slice(request.url.indexOf("?")) : "");
        return instances.http(route.instance, { method, url, headers, body }, null);
      }
      case "gateways":
        return jsonAnswer(200, encodeJson(gateways.list()));
      case "create_gateway":
        return shaped(
          () => createGateway(parts, body),
          (message) => notCreated(400, message),
        );
      case "stop_gateway":
        return gateways.stop(route.gateway).then(() => NULL_ANSWER);
    }
  }

  return {
    admit: (method, url) => ({ bytesMax: bodyBytesMax(routeOf(method, url)) }),
    async answer(request): Promise<Answer> {
      const route = routeOf(request.method, request.url);
      const answer = await withRoute(route, request);
      log("debug", `${request.method} ${request.url.slice(0, 200)} ${answer.status}`);
      return request.url.startsWith("/instances") ? withCors(answer) : answer;
    },
    prepare(): void {
      pool.prepare();
    },
    gatewaysIdleSinceMs: () => gateways.idleSinceMs(),
    async end(): Promise<boolean> {
      await gateways.end();
      const failures = await instances.end();
      for (const failed of failures) log("error", failed);
      await pool.end();
      return failures.length === 0;
    },
  };
}
