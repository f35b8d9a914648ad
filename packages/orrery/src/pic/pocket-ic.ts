/**
 * The PocketIC client of PicJS, without a server: a network in the program's own process, on a thread beside it. Names, options and
 * what they do are those of `@dfinity/pic`; what goes beyond them says so.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { IDL } from "@icp-sdk/core/candid";
import { Principal } from "@icp-sdk/core/principal";
import type { OutcallAnswer, Reject } from "@orrery/sim/instance";
import { openNetwork } from "../thread.ts";
import type { Traces } from "../types.ts";
import { createActor, createDeferredActor } from "./actors.ts";
import {
  decodeChunkHash,
  decodeCreation,
  decodeStatus,
  encodeAbout,
  encodeChunk,
  encodeCreation,
  encodeInstall,
  encodeInstallChunked,
  encodeSettings,
  type InstallMode,
} from "./management.ts";
import { bytesOf, type FullCall, PicNetwork, principalOf } from "./remote.ts";
import { subnetTopology, topologyOf } from "./topology.ts";
import {
  type Actor,
  type ActorInterface,
  type CanisterFixture,
  type CanisterHttpMethod,
  type CanisterStatusOptions,
  type CanisterStatusResult,
  type CreateCanisterOptions,
  type CreateInstanceOptions,
  type DeferredActor,
  type HttpsOutcallResponseMock,
  type InstallCodeOptions,
  type MockPendingHttpsOutcallOptions,
  type PendingHttpsOutcall,
  type QueryCallOptions,
  type ReinstallCodeOptions,
  type SetupCanisterOptions,
  type StartCanisterOptions,
  type StopCanisterOptions,
  type SubnetTopology,
  SubnetType,
  type UpdateCallOptions,
  type UpdateCanisterSettingsOptions,
  type UpgradeCanisterOptions,
} from "./types.ts";

const NS_PER_MS = 1_000_000n;
const GENESIS_TIME = 1_620_328_630_000_000_000n;
const MANAGEMENT: Principal = Principal.fromUint8Array(new Uint8Array(0));
const CYCLES_DEFAULT = 1_000_000_000_000_000_000n;
/** Envelope of an update call, bytes: what application subnets accept. */
const INGRESS_BYTES_MAX = 2_097_152;
/** Larger code goes through the chunk store. */
const CODE_BYTES_MAX = 1_850_000;
const CHUNK_BYTES = 1_000_000;
const NO_BYTES: Uint8Array = new Uint8Array(0);

interface Code {
  readonly canisterId: Principal;
  readonly mode: InstallMode;
  readonly wasm: Uint8Array | string;
  readonly arg?: Uint8Array | undefined;
  readonly sender?: Principal | undefined;
  readonly targetSubnetId?: Principal | undefined;
}

function nanoseconds(time: Date | number): bigint {
  return BigInt(time instanceof Date ? time.getTime() : Math.floor(time)) * NS_PER_MS;
}

function answerOf(mock: HttpsOutcallResponseMock): OutcallAnswer {
  if (mock.type === "reject") {
    return { kind: "reject", code: mock.statusCode as Reject["code"], message: mock.message };
  }
  const headers = mock.headers.map(([name, value]) => ({ name, value }));
  return { kind: "response", status: mock.statusCode, headers, body: mock.body };
}

export class PocketIc {
  readonly #network: PicNetwork;
  #port: number | null = null;

  private constructor(network: PicNetwork) {
    this.#network = network;
  }

  /** Makes a network. The URL, of a server, changes nothing. */
  static async create(_url?: string, options?: CreateInstanceOptions): Promise<PocketIc> {
    const remote = await openNetwork({
      topology: topologyOf(options),
      ids: "pocketic",
      seed: new Uint8Array(32),
      time: GENESIS_TIME,
      state: null,
      from: null,
      wall: false,
      outcalls: null,
      ingressBytesMax: INGRESS_BYTES_MAX,
    });
    return new PocketIc(new PicNetwork(remote));
  }

  /**
   * The same network in a second copy that goes its own way from here; beyond PicJS. A suite prepares once and forks for every test,
   * which costs milliseconds.
   */
  async fork(): Promise<PocketIc> {
    return new PocketIc(await this.#network.fork());
  }

  /** From now on what canisters execute is kept for `takeTraces`, or not any more; beyond PicJS. */
  trace(on: boolean): Promise<void> {
    return this.#network.trace(on);
  }

  /** What was executed since it was last asked, as trees; beyond PicJS. */
  takeTraces(): Promise<Traces> {
    return this.#network.takeTraces();
  }

  async setupCanister<T extends ActorInterface<T> = ActorInterface>({
    idlFactory,
    wasm,
    arg,
    ...creation
  }: SetupCanisterOptions): Promise<CanisterFixture<T>> {
    const canisterId = await this.createCanister(creation);
    const { sender, targetSubnetId } = creation;
    await this.installCode({ canisterId, wasm, arg, sender, targetSubnetId });
    return { actor: this.createActor<T>(idlFactory, canisterId), canisterId };
  }

  async createCanister(options: CreateCanisterOptions = {}): Promise<Principal> {
    const { sender, targetSubnetId, cycles = CYCLES_DEFAULT, ...settings } = options;
    const method = "provisional_create_canister_with_cycles";
    const arg = encodeCreation({ ...settings, cycles });
    return decodeCreation(await this.#manage(method, arg, { sender, targetSubnetId }));
  }

  #manage(
    method: string,
    arg: Uint8Array,
    { sender, targetSubnetId }: Pick<Code, "sender" | "targetSubnetId">,
  ): Promise<Uint8Array> {
    return this.#network.update(fullCall({ canisterId: MANAGEMENT, method, arg, sender, targetSubnetId }));
  }

  async startCanister({ canisterId, ...told }: StartCanisterOptions): Promise<void> {
    await this.#manage("start_canister", encodeAbout(canisterId), told);
  }

  async stopCanister({ canisterId, ...told }: StopCanisterOptions): Promise<void> {
    await this.#manage("stop_canister", encodeAbout(canisterId), told);
  }

  installCode(options: InstallCodeOptions): Promise<void> {
    return this.#install({ ...options, mode: { install: null } });
  }

  reinstallCode(options: ReinstallCodeOptions): Promise<void> {
    return this.#install({ ...options, mode: { reinstall: null } });
  }

  upgradeCanister({ upgradeModeOptions, ...options }: UpgradeCanisterOptions): Promise<void> {
    const upgrade: [] | [NonNullable<typeof upgradeModeOptions>] =
      upgradeModeOptions === undefined ? [] : [upgradeModeOptions];
    return this.#install({ ...options, mode: { upgrade } });
  }

  async #install({ canisterId, mode, wasm: given, arg = NO_BYTES, ...told }: Code): Promise<void> {
    const wasm = typeof given === "string" ? new Uint8Array(await readFile(given)) : new Uint8Array(given);
    if (wasm.length + arg.length <= CODE_BYTES_MAX) {
      await this.#manage(
        "install_code",
        encodeInstall(canisterId, { mode, wasm, arg: new Uint8Array(arg) }),
        told,
      );
      return;
    }
    await this.#manage("clear_chunk_store", encodeAbout(canisterId), told);
    const chunks: Uint8Array[] = [];
    for (let at = 0; at < wasm.length; at += CHUNK_BYTES) {
      const chunk = encodeChunk(canisterId, wasm.subarray(at, at + CHUNK_BYTES));
      chunks.push(decodeChunkHash(await this.#manage("upload_chunk", chunk, told)));
    }
    const hash = new Uint8Array(createHash("sha256").update(wasm).digest());
    const code = { mode, chunks, hash, arg: new Uint8Array(arg) };
    await this.#manage("install_chunked_code", encodeInstallChunked(canisterId, code), told);
  }

  async updateCanisterSettings({
    canisterId,
    sender,
    ...settings
  }: UpdateCanisterSettingsOptions): Promise<void> {
    await this.#manage("update_settings", encodeSettings(canisterId, settings), { sender });
  }

  async canisterStatus({ canisterId, sender }: CanisterStatusOptions): Promise<CanisterStatusResult> {
    return decodeStatus(await this.#manage("canister_status", encodeAbout(canisterId), { sender }));
  }

  createActor<T extends ActorInterface<T> = ActorInterface>(
    interfaceFactory: IDL.InterfaceFactory,
    canisterId: Principal,
  ): Actor<T> {
    return createActor<T>(this.#network, interfaceFactory, canisterId);
  }

  createDeferredActor<T extends ActorInterface<T> = ActorInterface>(
    interfaceFactory: IDL.InterfaceFactory,
    canisterId: Principal,
  ): DeferredActor<T> {
    return createDeferredActor(this.#network, interfaceFactory, canisterId);
  }

  queryCall(options: QueryCallOptions): Promise<Uint8Array> {
    return this.#network.query(fullCall(options));
  }

  updateCall(options: UpdateCallOptions): Promise<Uint8Array> {
    return this.#network.update(fullCall(options));
  }

  /** Ends the network and gives its memory back. */
  tearDown(): Promise<void> {
    return this.#network.close();
  }

  async tick(times = 1): Promise<void> {
    for (let i = 0; i < times; i++) await this.#network.tick();
  }

  async getControllers(canisterId: Principal): Promise<Principal[]> {
    return (await this.#network.invoke("controllers", bytesOf(canisterId))).map(principalOf);
  }

  /** Milliseconds since 1970. */
  async getTime(): Promise<number> {
    return Number((await this.#network.time()) / NS_PER_MS);
  }

  resetTime(): Promise<void> {
    return this.setTime(Date.now());
  }

  resetCertifiedTime(): Promise<void> {
    return this.setCertifiedTime(Date.now());
  }

  /** Canisters see it from the next round on. */
  setTime(time: Date | number): Promise<void> {
    return this.#network.invoke("setTime", nanoseconds(time));
  }

  setCertifiedTime(time: Date | number): Promise<void> {
    return this.#network.invoke("setCertifiedTime", nanoseconds(time));
  }

  async advanceTime(duration: number): Promise<void> {
    await this.#network.invoke("setTime", (await this.#network.time()) + nanoseconds(duration));
  }

  async advanceCertifiedTime(duration: number): Promise<void> {
    await this.#network.invoke("setCertifiedTime", (await this.#network.time()) + nanoseconds(duration));
  }

  /** DER. */
  getPubKey(subnetId: Principal): Promise<Uint8Array> {
    return this.#network.invoke("publicKey", bytesOf(subnetId));
  }

  async getCanisterSubnetId(canisterId: Principal): Promise<Principal | null> {
    const id = await this.#network.invoke("subnetOf", bytesOf(canisterId));
    return id === null ? null : principalOf(id);
  }

  async getTopology(): Promise<SubnetTopology[]> {
    return (await this.#network.invoke("topology")).subnets.map(subnetTopology);
  }

  async getDefaultEffectiveCanisterId(): Promise<Principal> {
    return principalOf((await this.#network.invoke("topology")).defaultEffectiveCanisterId);
  }

  async #subnetsOf(type: SubnetType): Promise<SubnetTopology[]> {
    return (await this.getTopology()).filter((subnet) => subnet.type === type);
  }

  async getBitcoinSubnet(): Promise<SubnetTopology | undefined> {
    return (await this.#subnetsOf(SubnetType.Bitcoin))[0];
  }

  async getFiduciarySubnet(): Promise<SubnetTopology | undefined> {
    return (await this.#subnetsOf(SubnetType.Fiduciary))[0];
  }

  async getInternetIdentitySubnet(): Promise<SubnetTopology | undefined> {
    return (await this.#subnetsOf(SubnetType.InternetIdentity))[0];
  }

  async getNnsSubnet(): Promise<SubnetTopology | undefined> {
    return (await this.#subnetsOf(SubnetType.NNS))[0];
  }

  async getSnsSubnet(): Promise<SubnetTopology | undefined> {
    return (await this.#subnetsOf(SubnetType.SNS))[0];
  }

  getApplicationSubnets(): Promise<SubnetTopology[]> {
    return this.#subnetsOf(SubnetType.Application);
  }

  getSystemSubnets(): Promise<SubnetTopology[]> {
    return this.#subnetsOf(SubnetType.System);
  }

  getCyclesBalance(canisterId: Principal): Promise<bigint> {
    return this.#network.invoke("cycles", bytesOf(canisterId));
  }

  /** The balance afterwards. */
  addCycles(canisterId: Principal, amount: bigint): Promise<bigint> {
    return this.#network.invoke("addCycles", bytesOf(canisterId), BigInt(amount));
  }

  setStableMemory(canisterId: Principal, stableMemory: Uint8Array): Promise<void> {
    return this.#network.invoke("setStableMemory", bytesOf(canisterId), new Uint8Array(stableMemory));
  }

  getStableMemory(canisterId: Principal): Promise<Uint8Array> {
    return this.#network.invoke("stableMemory", bytesOf(canisterId));
  }

  async getPendingHttpsOutcalls(): Promise<PendingHttpsOutcall[]> {
    return (await this.#network.invoke("pendingOutcalls")).map(
      ({ subnetId, id, url, method, headers, body, maxResponseBytes }) => ({
        subnetId: principalOf(subnetId),
        requestId: id,
        httpMethod: method as CanisterHttpMethod,
        url,
        headers: headers.map(({ name, value }) => [name, value]),
        body: body ?? NO_BYTES,
        ...(maxResponseBytes === null ? {} : { maxResponseBytes }),
      }),
    );
  }

  /** Answers for the next round. */
  mockPendingHttpsOutcall({
    subnetId,
    requestId,
    response,
    additionalResponses = [],
  }: MockPendingHttpsOutcallOptions): Promise<void> {
    const answers = [response, ...additionalResponses].map(answerOf);
    return this.#network.invoke("mockOutcall", bytesOf(subnetId), requestId, answers);
  }

  /** Lets time follow the machine's and rounds run by themselves; the port of the HTTP gateway at which the network is now. */
  async makeLive(): Promise<number> {
    this.#port ??= await this.#network.live(true);
    return this.#port;
  }

  async stopLive(): Promise<void> {
    this.#port = null;
    await this.#network.live(false);
  }
}

function fullCall({ canisterId, method, arg = NO_BYTES, sender, ...told }: QueryCallOptions): FullCall {
  return { canisterId, method, arg, sender: sender ?? Principal.anonymous(), ...told };
}
