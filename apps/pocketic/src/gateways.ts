/**
 * HTTP gateways: a port each, where browsers find the canisters of an instance by name. What is asked of one is answered on the thread
 * of the instance; here are the sockets and the list.
 */
import { readFileSync } from "node:fs";
import type { Answer } from "./answers.ts";
import type { ForwardTo, GatewayConfig } from "./config.ts";
import type { Instances } from "./instances.ts";
import type { Encodable } from "./json.ts";
import { type ListenAt, type Listener, type ListenerRequest, startListener } from "./listener.ts";
import type { Log } from "./log.ts";
import type { GatewayRules } from "./protocol.ts";

/** Interface specification: bodies over 5 MiB are refused. */
const BODY_BYTES_MAX = 5 * 1_024 ** 2;
const GATEWAYS_MAX = 1_024;

type GatewayRequest = GatewayConfig & { readonly forward_to: ForwardTo };

interface Gateway {
  readonly config: GatewayRequest;
  readonly instance: number;
  readonly listener: Listener;
}

function tlsOf(config: GatewayConfig["https_config"]): ListenAt["tls"] {
  if (config === null) return undefined;
  return { cert: readFileSync(config.cert_path, "utf8"), key: readFileSync(config.key_path, "utf8") };
}

export type Opened = { readonly id: number; readonly port: number } | { readonly error: string };

export interface Gateways {
  create(request: GatewayRequest): Promise<Opened>;
  list(): Encodable;
  stop(id: number): Promise<void>;
  stopThoseOf(instance: number): Promise<void>;
  idleSinceMs(): number;
  end(): Promise<void>;
}

export interface GatewaysOptions {
  readonly instances: Instances;
  readonly log: Log;
  /** Names that requests may be addressed to, beside localhost, addresses and a gateway's own domains. */
  readonly hosts: readonly string[];
}

export function createGateways({ instances, log, hosts }: GatewaysOptions): Gateways {
  const gateways: (Gateway | null)[] = [];
  let next = 0;

  async function stop(id: number): Promise<void> {
    const gateway = gateways[id] ?? null;
    if (gateway === null) return;
    gateways[id] = null;
    await gateway.listener.close();
  }

  function answer(instance: number, rules: GatewayRules, request: ListenerRequest): Promise<Answer> {
    const { method, url, headers, body } = request;
    return instances.http(instance, { method, url, headers, body }, rules);
  }

  return {
    async create(config): Promise<Opened> {
      const { forward_to: to, https_config } = config;
      if (to.kind === "Replica") {
        return {
          error: `A gateway to another replica (${to.value.slice(0, 200)}) is not offered here, only to an instance.`,
        };
      }
      if (gateways.filter((one) => one !== null).length >= GATEWAYS_MAX) {
        return { error: `There are ${GATEWAYS_MAX} gateways, the most of a server; stop some first.` };
      }
      const refused = instances.refuse(to.value);
      if (refused !== null) return { error: `There is no instance ${to.value} to forward to.` };
      const bind = config.ip_addr ?? "127.0.0.1";
      const port = config.port ?? 0;
      const rules: GatewayRules = {
        id: next++,
        domains: config.domains,
        domainsFile: config.domain_custom_provider_local_file,
        hosts,
      };
      let tls: ListenAt["tls"];
      try {
        tls = tlsOf(https_config);
      } catch (error) {
        return { error: `TLS config could not be created: ${(error as Error).message}` };
      }
      let listener: Listener;
      try {
        listener = await startListener(
          { bind, port, ...(tls === undefined ? {} : { tls }) },
          {
            admit: () => ({ bytesMax: BODY_BYTES_MAX }),
            answer: (request) => answer(to.value, rules, request),
            onError: (error) => log("error", `a request to a gateway failed: ${(error as Error).message}`),
          },
        );
      } catch (error) {
        return { error: `Failed to bind to address ${bind}:${port}: ${(error as Error).message}` };
      }
      gateways.push({ config, instance: to.value, listener });
      return { id: gateways.length - 1, port: listener.port };
    },
    list: () =>
      gateways.flatMap((gateway, id) => {
        if (gateway === null) return [];
        const { config, listener, instance } = gateway;
        return [
          {
            instance_id: id,
            port: listener.port,
            forward_to: { PocketIcInstance: instance },
            domains: config.domains,
            https_config: config.https_config,
          },
        ];
      }),
    stop,
    async stopThoseOf(instance): Promise<void> {
      await Promise.all(gateways.map((gateway, id) => (gateway?.instance === instance ? stop(id) : null)));
    },
    idleSinceMs: () =>
      gateways.reduce((newest, gateway) => {
        if (gateway === null) return newest;
        return Math.max(
          newest,
          gateway.listener.pending > 0 ? Number.POSITIVE_INFINITY : gateway.listener.idleSinceMs,
        );
      }, 0),
    async end(): Promise<void> {
      await Promise.all(gateways.map((_, id) => stop(id)));
    },
  };
}
