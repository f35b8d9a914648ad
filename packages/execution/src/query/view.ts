/**
 * What a query thread holds: one certified state, from which it answers queries, state reads, request
 * statuses and ingress inspection. Plain data in, plain data out; no answer changes anything. `apply` moves to the next height.
 */
import {
  assert,
  type CanisterId,
  decodeEnvelope,
  equalBytes,
  type Height,
  MANAGEMENT_CANISTER,
  OrreryError,
  type OutcallResponse,
  type Principal,
  principalKey,
  type QueryStats,
  type SubnetId,
  type TimeNs,
  utf8,
  utf8Decode,
} from "@orrery/base";
import { encodeCertificate, treeGet, witness } from "@orrery/crypto";
import type { Outcall, PageReader } from "@orrery/state";
import { createEngine, type Engine } from "@orrery/wasm";
import { ErrorCode, errorCodeText, rejectCodeOf, type UserError } from "../error-codes.ts";
import { boundedText } from "../messaging/reject.ts";
import type { Inflate } from "../runner/modules.ts";
import { WasmRunner } from "../runner/runner.ts";
import { judgeSlice, sliceRequest, subnetKey } from "../streams/payload.ts";
import {
  certifySlice,
  decodeCertifiedSlice,
  type SliceRequest,
  type StreamEnds,
  streamEnds,
  takeSlice,
  type VerifySliceOptions,
  verifySlice,
} from "../streams/slices.ts";
import type { CanisterDelta, ModuleBytes, StateDelta } from "../types.ts";
import {
  type CertificateDestination,
  type Delegation,
  delegationFor,
  issueDelegation,
  type RangesForm,
} from "./delegation.ts";
import { inspectCall } from "./inspect.ts";
import { answerManagementQuery } from "./management-query.ts";
import { type FormedMirror, Mirror } from "./mirror.ts";
import { answerOutcall, type FetchedOutcall } from "./outcall.ts";
import { QueryOutgrown, type QueryProfile, runQuery } from "./query-call.ts";
import { QueryStatsCounter } from "./query-stats.ts";
import { authorizePaths, type Path, type ReadStateQuery, revealedPaths } from "./read-state.ts";
import type { ViewSnapshot } from "./snapshot.ts";

export type { RangesForm } from "./delegation.ts";

/** The subnet's signature of a height's root hash, and the root subnet's word for its key; null on the root subnet. */
export interface Certification {
  readonly signature: Uint8Array;
  readonly delegation: Delegation | null;
}

/** Without one, the first shard's ranges go along. */
const NOWHERE: CertificateDestination = { kind: "canister", id: MANAGEMENT_CANISTER };

export interface ViewOptions {
  readonly snapshot: ViewSnapshot | FormedMirror;
  readonly certification: Certification;
  /** Reader over the slabs of the arena that the snapshot's page ids name. */
  readonly pages: PageReader;
  readonly inflate: Inflate;
  /** Of this thread; made when not given. */
  readonly engine?: Engine;
  readonly instancesMax?: number;
  /** Called when a query begins; what it returns says whether a composite query's time is up. Unlimited when not given. */
  readonly startTimer?: () => () => boolean;
  readonly profiling?: QueryProfiling;
}

/** Who wants to know what queries come to by function. */
export interface QueryProfiling {
  /** Whether the canister's executions are profiled; they take longer then, and nothing else changes. */
  wants(canisterId: CanisterId): boolean;
  ran(run: QueryProfile): void;
}

export interface NextSliceOptions {
  readonly verifyBls: VerifySliceOptions["verifyBls"];
  /** Beside the protocol's limits: what a thread may be kept busy with. */
  readonly maxMessages?: number;
}

export interface ViewQuery {
  readonly sender: Principal;
  readonly senderInfo: { readonly info: Uint8Array; readonly signer: Principal } | null;
  readonly canisterId: CanisterId;
  readonly methodName: string;
  readonly arg: Uint8Array;
  /** For the delegation inside the data certificate; sharded when not given. */
  readonly ranges?: RangesForm;
}

export type ViewQueryOutcome =
  | { readonly status: "replied"; readonly reply: Uint8Array }
  | {
      readonly status: "rejected";
      readonly rejectCode: number;
      readonly rejectMessage: string;
      readonly errorCode: string;
    };

/** An outcome and the time of the state that it was computed on. */
export interface ViewAnswer {
  readonly outcome: ViewQueryOutcome;
  readonly timestamp: TimeNs;
}

export type ReadStateAnswer =
  | { readonly kind: "certificate"; readonly certificate: Uint8Array }
  | { readonly kind: "refused"; readonly status: number; readonly text: string };

const LABEL = {
  time: utf8("time"),
  canister: utf8("canister"),
  certifiedData: utf8("certified_data"),
  requestStatus: utf8("request_status"),
  status: utf8("status"),
} as const;
const TERMINAL: ReadonlySet<string> = new Set(["replied", "rejected", "done"]);

export class CertifiedView {
  readonly #mirror: Mirror;
  readonly #runner: WasmRunner;
  readonly #stats = new QueryStatsCounter();
  readonly #startTimer: () => () => boolean;
  readonly #profiling: QueryProfiling | null;
  #certification: Certification;

  constructor(options: ViewOptions) {
    const { pages, inflate, instancesMax, profiling } = options;
    this.#mirror = new Mirror(options.snapshot);
    this.#certification = options.certification;
    this.#startTimer = options.startTimer ?? (() => () => false);
    this.#profiling = profiling ?? null;
    this.#runner = new WasmRunner({
      engine: options.engine ?? createEngine(),
      pages,
      modules: this.#mirror,
      inflate,
      ...(instancesMax === undefined ? {} : { instancesMax }),
      ...(profiling === undefined ? {} : { profiling: (id) => profiling.wants(id) }),
    });
    this.#adopt(options.snapshot.modules);
  }

  /** Whether answering for the canister begins with the compilation of its module, which takes long when it is large. */
  mustCompile(canisterId: CanisterId): boolean {
    const module = this.#mirror.canisters.get(principalKey(canisterId))?.meta.module ?? null;
    return module !== null && !this.#runner.hasCompiled(module);
  }

  get height(): Height {
    return this.#mirror.height;
  }

  get time(): TimeNs {
    return this.#mirror.time;
  }

  /** Moves to the delta's height; a delta that does not fit is a broken invariant. */
  apply(delta: StateDelta, certification: Certification): void {
    this.#adopt(delta.modules);
    this.#mirror.apply(delta, {
      moved: (canister, heap) => this.#runner.refresh(canister, heap),
      removed: (canister) => this.#runner.evict(canister.meta.id),
    });
    this.#certification = certification;
  }

  /** Follows what was changed from outside between two rounds (`Execution.edit`); height, time and tree stay. */
  amend(canisters: readonly CanisterDelta[]): void {
    this.#mirror.amend(canisters, {
      moved: (canister, heap) => this.#runner.refresh(canister, heap),
      removed: (canister) => this.#runner.evict(canister.meta.id),
    });
  }

  /** With `probe`, a query that takes more instructions leaves nothing behind and is "outgrown". */
  query(query: ViewQuery): ViewAnswer;
  query(query: ViewQuery, probe: bigint | undefined): ViewAnswer | "outgrown";
  query(query: ViewQuery, probe?: bigint): ViewAnswer | "outgrown" {
    return unlessOutgrown(() => ({ outcome: this.#query(query, probe), timestamp: this.#mirror.time }));
  }

  /** What the host got for an outcall, transformed as its caller asked, as a block takes it. */
  answerOutcall(outcall: Outcall, fetched: FetchedOutcall): OutcallResponse {
    return answerOutcall({ mirror: this.#mirror, runner: this.#runner }, outcall, fetched);
  }

  /** What queries took since it was last asked: for a block, which orders it. */
  takeQueryStats(): QueryStats[] {
    return this.#stats.take();
  }

  readState(query: ReadStateQuery): ReadStateAnswer {
    const refusal = authorizePaths(this.#mirror, query);
    if (refusal !== null) return { kind: "refused", ...refusal };
    const paths = revealedPaths(this.#mirror, query);
    return { kind: "certificate", certificate: this.#certificate(paths, query.ranges, query.destination) };
  }

  /** Certificate of a request's status and whether that is final; null when the state knows nothing of the request. */
  statusCertificate(
    requestId: Uint8Array,
    ranges: RangesForm = "sharded",
    destination: CertificateDestination = NOWHERE,
  ): { readonly certificate: Uint8Array; readonly terminal: boolean } | null {
    const path = [LABEL.requestStatus, requestId];
    const status = treeGet(this.#mirror.tree, [...path, LABEL.status]);
    if (!(status instanceof Uint8Array)) return null;
    const terminal = TERMINAL.has(utf8Decode(status) ?? "");
    return { certificate: this.#certificate([path, [LABEL.time]], ranges, destination), terminal };
  }

  /** The certificate alone, whatever the status. */
  requestCertificate(
    requestId: Uint8Array,
    ranges: RangesForm = "sharded",
    destination: CertificateDestination = NOWHERE,
  ): Uint8Array | null {
    return this.statusCertificate(requestId, ranges, destination)?.certificate ?? null;
  }

  /** From the root subnet's view: its word for another subnet; null when the state does not know that. */
  delegationOf(subnetId: SubnetId): Delegation | null {
    return issueDelegation(this.#mirror, this.#certification.signature, subnetId);
  }

  /**
   * The slice of the source's stream to this subnet that goes on where this state is, certified by the source and judged as for a
   * block on this state; null when there is nothing new. One that does not hold is `slice_invalid`.
   */
  nextSlice(source: CertifiedView, options: NextSliceOptions): Uint8Array | null {
    const { maxMessages = Number.MAX_SAFE_INTEGER, verifyBls } = options;
    const from = source.#mirror.subnet.subnetId;
    const bytes = source.sliceFor(this.sliceRequest(from, maxMessages));
    if (bytes === null) return null;
    const verdict = judgeSlice({ state: this.#mirror, past: new Map(), verifyBls }, bytes);
    if (verdict.ok) return bytes;
    throw new OrreryError("slice_invalid", `a slice between two subnets does not hold: ${verdict.error}`);
  }

  /** What to ask a subnet for, so that its slice goes on where this state is. */
  sliceRequest(source: SubnetId, maxMessages: number = Number.MAX_SAFE_INTEGER): SliceRequest {
    const request = sliceRequest({ state: this.#mirror, past: new Map() }, source);
    return { ...request, maxMessages: Math.min(request.maxMessages, maxMessages) };
  }

  /** What another subnet asks for, certified; null when there is nothing of it. */
  sliceFor(request: SliceRequest): Uint8Array | null {
    const slice = takeSlice(this.#mirror, request);
    return slice === null ? null : certifySlice(slice, this.#certification.signature);
  }

  /** How far this subnet's stream to another one goes; null when there is none. */
  streamEnds(to: SubnetId): StreamEnds | null {
    return streamEnds(this.#mirror, to);
  }

  /**
   * Judges a slice that somebody says is the source's: `wrong` where it is not, which no honest node says; `unfit` where it does not go on
   * where this state is, which may be behind.
   */
  judgeSlice(
    source: SubnetId,
    bytes: Uint8Array,
    verifyBls: NextSliceOptions["verifyBls"],
  ): "good" | "unfit" | "wrong" {
    const state = this.#mirror;
    const { subnet } = state;
    const slice = decodeCertifiedSlice(bytes);
    if (!slice.ok || !equalBytes(slice.value.source, source)) return "wrong";
    if (judgeSlice({ state, past: new Map(), verifyBls }, bytes).ok) return "good";
    const publicKeyDer = subnetKey(subnet, source);
    // A subnet that came to the network, perhaps.
    if (publicKeyDer === null) return "unfit";
    const named = { source, destination: subnet.subnetId, publicKeyDer, verifyBls };
    return verifySlice(slice.value, named).ok ? "unfit" : "wrong";
  }

  /** Gives the memories of its instances back; nothing may be asked of it any more. */
  dispose(): void {
    for (const { meta } of this.#mirror.canisters.values()) this.#runner.evict(meta.id);
  }

  /** From now on certificates carry this delegation, which the caller has verified. */
  delegate(delegation: Delegation): void {
    this.#certification = { ...this.#certification, delegation };
  }

  /** The checks before an envelope, already authenticated, is submitted; null accepts it. `probe` is as for queries. */
  inspect(envelope: Uint8Array): UserError | null;
  inspect(envelope: Uint8Array, probe: bigint | undefined): UserError | null | "outgrown";
  inspect(envelope: Uint8Array, probe?: bigint): UserError | null | "outgrown" {
    const decoded = decodeEnvelope(envelope);
    assert(decoded.ok && decoded.value.content.kind === "call", "inspection is for validated update calls");
    const { content } = decoded.value;
    const submitted = { call: content, bytes: envelope.length };
    return unlessOutgrown(() =>
      inspectCall({ mirror: this.#mirror, runner: this.#runner }, submitted, probe),
    );
  }

  #adopt(modules: readonly ModuleBytes[]): void {
    for (const { key, compiled } of modules) {
      if (compiled !== undefined) this.#runner.adoptModule(key, compiled);
    }
  }

  #query(query: ViewQuery, probe: bigint | undefined): ViewQueryOutcome {
    const { canisterId, methodName, arg, sender, senderInfo, ranges = "sharded" } = query;
    if (canisterId.length === 0) {
      const answer = answerManagementQuery(this.#mirror, { sender, methodName, arg });
      return answer.ok ? { status: "replied", reply: answer.value } : rejected(answer.error);
    }
    const result = runQuery(
      {
        mirror: this.#mirror,
        runner: this.#runner,
        dataCertificate: (id) => this.#dataCertificate(id, ranges),
        stats: this.#stats,
        timeIsUp: this.#startTimer(),
        probe,
        profiled: (run) => this.#profiling?.ran(run),
      },
      {
        canisterId,
        methodName,
        arg,
        caller: sender,
        callerInfo: senderInfo === null ? null : { info: senderInfo.info, signer: senderInfo.signer },
      },
    );
    if (!result.ok) return rejected(result.error);
    if (result.value.kind === "reply") return { status: "replied", reply: result.value.data };
    return {
      status: "rejected",
      rejectCode: 4,
      rejectMessage: boundedText(result.value.message),
      errorCode: errorCodeText(ErrorCode.CanisterRejectedMessage),
    };
  }

  #dataCertificate(canisterId: CanisterId, ranges: RangesForm): Uint8Array {
    const paths = [[LABEL.canister, canisterId, LABEL.certifiedData], [LABEL.time]];
    return this.#certificate(paths, ranges, { kind: "canister", id: canisterId });
  }

  #certificate(paths: readonly Path[], ranges: RangesForm, destination: CertificateDestination): Uint8Array {
    const { signature, delegation } = this.#certification;
    return encodeCertificate({
      tree: witness(this.#mirror.tree, paths),
      signature,
      delegation:
        delegation === null
          ? null
          : { subnetId: delegation.subnetId, certificate: delegationFor(delegation, ranges, destination) },
    });
  }
}

function unlessOutgrown<T>(run: () => T): T | "outgrown" {
  try {
    return run();
  } catch (cause) {
    if (cause instanceof QueryOutgrown) return "outgrown";
    throw cause;
  }
}

/** Rejected queries carry the code in their text, as the replica sends them. */
function rejected(error: UserError): ViewQueryOutcome {
  const errorCode = errorCodeText(error.code);
  return {
    status: "rejected",
    rejectCode: rejectCodeOf(error.code),
    rejectMessage: boundedText(`${errorCode}: ${error.message}`),
    errorCode,
  };
}
