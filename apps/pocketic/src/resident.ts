/** An instance on its thread: the core's, with its progress, its HTTPS interface and the directory that it is kept in. */
import { fromHex, ok, principalFromBytes, type TimeNs } from "@orrery/base";
import { createSignatureVerifier } from "@orrery/crypto";
import { effectiveCanisterId } from "@orrery/execution/effective-id";
import { createHttpsOutcalls, type OutcallAdapter } from "@orrery/host/outcalls";
import { nodeSignatures } from "@orrery/host/signatures";
import {
  type Api,
  createApi,
  type HttpResponse,
  hostedNetwork,
  type ReplicaNetwork,
  type Validate,
  validateWith,
} from "@orrery/http";
import { createInstance, type Instance, type InstanceHost, openInstance } from "@orrery/sim/instance";
import { type Answer, jsonAnswer, withCors } from "./answers.ts";
import { base64, messageId, resultJson } from "./calls.ts";
import { autoProgressMs } from "./config.ts";
import { dashboard } from "./dashboard.ts";
import { createInstanceGateway } from "./instance-gateway.ts";
import { type Encodable, encodeJson } from "./json.ts";
import { OPERATIONS } from "./operations.ts";
import { PicError } from "./pic-errors.ts";
import { type Progress, startProgress, wallTime } from "./progress.ts";
import type { GatewayRules, InstanceConfig, ThreadRequest } from "./protocol.ts";
import { readBody } from "./shapes.ts";
import { openStateDirectory, type StateDirectory } from "./state-directory.ts";
import { topologyJson } from "./topology.ts";

/** The replica's `max_ingress_bytes_per_message`. */
const INGRESS_BYTES_MAX = 2 * 1_024 ** 2;
/** An ingress message that has no answer by then has expired. */
const AWAIT_LIVE_MS_MAX = 360_000;
/** Keys of all instances derive from this one seed: what an instance signs proves nothing to anybody else. */
const SEED: Uint8Array = fromHex("6f72726572792d706f636b657469632d696e7374616e63652d736565642d3031");

function coreOf(config: InstanceConfig, host: InstanceHost, directory: StateDirectory | null): Instance {
  const options = {
    topology: config.subnets.map(({ kind, instructions, costSchedule, admins }) => ({
      kind,
      instructions,
      costSchedule,
      ...(admins === null ? {} : { admins: admins.map(principalFromBytes) }),
    })),
    mainnetNnsId: config.mainnetNnsId,
    seed: SEED,
    time: config.initialTime,
    ingressBytesMax: INGRESS_BYTES_MAX,
    host,
  };
  if (directory === null || !directory.isSaved) return createInstance(options);
  const instance = openInstance(options, directory.open);
  if (config.initialTime > instance.time) instance.setTime(config.initialTime);
  return instance;
}

export class Resident {
  readonly #instance: Instance;
  readonly #directory: StateDirectory | null;
  readonly #network: ReplicaNetwork;
  readonly #bls: InstanceHost["bls"];
  readonly #validate: Validate;
  readonly #api: Api;
  readonly #gateways = new Map<number, Api>();
  #outcalls: OutcallAdapter | null = null;
  #progress: Progress | null = null;
  readonly #afterRounds: (() => void)[] = [];

  /** Makes one, or goes on with the one in its directory. */
  static async create(config: InstanceConfig, host: InstanceHost): Promise<Resident> {
    const resident = new Resident(config, host);
    try {
      if (config.features.length > 0) {
        const { installFeatures } = await import("./features.ts");
        installFeatures(resident.#instance, config.features);
      }
    } catch (error) {
      resident.#end();
      throw error;
    }
    if (config.autoProgressMs !== null) resident.#start(config.autoProgressMs);
    return resident;
  }

  private constructor(config: InstanceConfig, host: InstanceHost) {
    this.#directory = config.stateDir === null ? null : openStateDirectory(config.stateDir);
    try {
      this.#instance = coreOf(config, host, this.#directory);
    } catch (error) {
      this.#directory?.release();
      throw error;
    }
    this.#network = hostedNetwork(this.#instance, {
      now: () => (this.#progress === null ? this.#instance.time : laterOf(wallTime(), this.#instance.time)),
      freshen: () => this.#progress?.freshen(),
      submitted: () => this.#progress?.poke(),
      after(timeoutMs, then) {
        const timer = setTimeout(then, timeoutMs);
        return () => clearTimeout(timer);
      },
    });
    this.#bls = host.bls;
    const verifier = createSignatureVerifier({
      basic: nodeSignatures,
      canisterSignatures: { rootKeyDer: this.#instance.rootKey, bls: host.bls },
    });
    this.#validate = validateWith(config.trustsIngress ? { verify: () => ok(null) } : verifier);
    this.#api = createApi(this.#network, {
      validate: this.#validate,
      effectiveCanisterId,
    });
  }

  topology(): string {
    return encodeJson(topologyJson(this.#instance.topology()));
  }

  #start(delayMs: number): void {
    this.#progress = startProgress({
      instance: this.#instance,
      delayMs,
      outcalls: () => {
        this.#outcalls ??= createHttpsOutcalls({ plainHttp: true });
        return this.#outcalls;
      },
      onRounds: () => this.#tellRounds(),
    });
  }

  #stop(): void {
    this.#progress?.stop();
    this.#progress = null;
    this.#tellRounds();
  }

  #autoProgress(name: string, body: Uint8Array): Encodable {
    if (name === "auto_progress_enabled") return this.#progress !== null;
    if (name === "stop_progress") {
      this.#stop();
      return null;
    }
    const delayMs = readBody(body, autoProgressMs);
    if (this.#progress !== null) throw new PicError("Auto progress mode has already been enabled.");
    this.#start(delayMs);
    return null;
  }

  /** Resolves after the next rounds, or when progress stops. */
  #rounds(): Promise<void> {
    return new Promise((resolve) => {
      this.#afterRounds.push(resolve);
    });
  }

  #tellRounds(): void {
    for (const resolve of this.#afterRounds.splice(0)) resolve();
  }

  /** While rounds are made by themselves, an answer is waited for in time, not in rounds: outcalls take as long as they take. */
  async #awaitLive(body: Uint8Array): Promise<string> {
    const deadline = performance.now() + AWAIT_LIVE_MS_MAX;
    const id = readBody(
      body,
      messageId((canister) => this.#instance.hostOf(canister)),
    );
    while (this.#progress !== null && performance.now() < deadline) {
      const status = this.#instance.ingressStatus(id);
      if (status !== null) return encodeJson(resultJson(status));
      await this.#rounds();
    }
    return this.#perform("update/await_ingress_message", body, null);
  }

  async #snapshot(name: string, body: Uint8Array): Promise<string> {
    // Only few instances need Candid for it.
    const { downloadSnapshot, uploadSnapshot } = await import("./snapshot-files.ts");
    const isDownload = name === "update/canister_snapshot_download";
    const result = isDownload
      ? downloadSnapshot(this.#instance, body)
      : { snapshot_id: base64(uploadSnapshot(this.#instance, body)) };
    this.#progress?.poke();
    return encodeJson(result);
  }

  /** Does what the path below the instance asks for; errors say what the request did wrong. */
  operate(name: string, body: Uint8Array, blob: Uint8Array | null): string | Promise<string> {
    if (name === "update/await_ingress_message" && this.#progress !== null) return this.#awaitLive(body);
    if (name.startsWith("update/canister_snapshot_")) return this.#snapshot(name, body);
    return this.#perform(name, body, blob);
  }

  #perform(name: string, body: Uint8Array, blob: Uint8Array | null): string {
    if (name === "auto_progress" || name === "auto_progress_enabled" || name === "stop_progress") {
      return encodeJson(this.#autoProgress(name, body));
    }
    const operation = OPERATIONS[name];
    if (operation === undefined) throw new PicError(`No operation has the path ${name}`, 404);
    const result = operation({ instance: this.#instance, body, blob });
    if (name.startsWith("update/")) this.#progress?.poke();
    return encodeJson(result);
  }

  #gateway(rules: GatewayRules): Api {
    const known = this.#gateways.get(rules.id);
    if (known !== undefined) return known;
    const made = createInstanceGateway({
      rules,
      network: this.#network,
      rootKey: this.#instance.rootKey,
      bls: this.#bls,
      validate: this.#validate,
      admin: ({ method, url }) => this.#admin(method, url),
    });
    this.#gateways.set(rules.id, made);
    return made;
  }

  /** What a gateway has below `/_/`; null for other paths. */
  #admin(method: string, url: string): HttpResponse | null {
    const name = url.slice(1).split("?")[0] as string;
    if (method !== "GET" || (name !== "_/topology" && name !== "_/dashboard")) return null;
    return withCors(this.#page(name));
  }

  #page(name: "_/topology" | "_/dashboard"): Answer {
    if (name === "_/topology") return jsonAnswer(200, this.topology());
    const headers = { "content-type": "text/html; charset=utf-8" };
    return { status: 200, headers, body: dashboard(this.#instance) };
  }

  /** A page that is no JSON; null when the path is another. */
  page(name: string): Answer | null {
    return name === "_/dashboard" ? this.#page(name) : null;
  }

  async http(
    { method, url, headers, body }: ThreadRequest,
    rules: GatewayRules | null,
  ): Promise<HttpResponse> {
    if (rules !== null) {
      const header = (name: string): string | undefined => headers.find(([one]) => one === name)?.[1];
      return await this.#gateway(rules)({ method, url, header, headers: () => headers, body });
    }
    // The server has judged by its own list whom the request may be addressed to.
    const header = (name: string): string | undefined =>
      name === "host" ? undefined : headers.find(([one]) => one === name)?.[1];
    return await this.#api({ method, url, header, headers: () => headers, body });
  }

  /** Ends it; what is kept of it is written. */
  delete(): void {
    this.#stop();
    this.#outcalls?.close();
    const directory = this.#directory;
    try {
      directory?.save(topologyJson(this.#instance.topology()), (open) => this.#instance.save(open));
    } finally {
      this.#end();
    }
  }

  #end(): void {
    this.#directory?.release();
    this.#instance.dispose();
  }
}

function laterOf(a: TimeNs, b: TimeNs): TimeNs {
  return a > b ? a : b;
}
