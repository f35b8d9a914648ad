/**
 * One subnet on the view thread: its certified mirror, and what is sent to it in order. A publication whose feed has not come yet
 * holds back everything after it of this subnet, and nothing of the others.
 */
import { assert, assertNever, type CanisterId, type Height, type SubnetId } from "@orrery/base";
import {
  CertifiedView,
  COMPOSITE_QUERY_TIME_MS_MAX,
  type FormedMirror,
  FormingMirror,
  type NextSliceOptions,
} from "@orrery/execution";
import type { Delegation } from "@orrery/execution/delegation";
import { createFileDisk, inflateGzip } from "@orrery/host";
import { ColdPages, PageReader } from "@orrery/state";
import type { ViewCall, ViewFeed, ViewProgress } from "./protocol.ts";
import { SLICE_MESSAGES_MAX } from "./slice-limits.ts";

/** Begins to measure a composite query. */
function compositeQueryTimer(): () => boolean {
  const end = performance.now() + COMPOSITE_QUERY_TIME_MS_MAX;
  return () => performance.now() >= end;
}

/** What one subnet's view answers by itself. */
export type Answerable = Exclude<ViewCall, { kind: "slice" | "judge_slice" }>;

/** `signature`: null where the feed brings it. */
export interface Publication {
  readonly height: Height;
  readonly signature: Uint8Array | null;
}

type Delta = Extract<ViewFeed, { kind: "delta" }>;

/** What waits to be shown. */
type Shown =
  | Delta
  | (Pick<Delta, "slabs" | "signature"> & { readonly kind: "formed"; readonly formed: FormedMirror });

export class SubnetView {
  readonly #reader: PageReader;
  readonly #say: (progress: ViewProgress) => void;
  /** Until the whole state has come. */
  #forming: FormingMirror | null = new FormingMirror();
  #view: CertifiedView | null = null;
  #delegation: Delegation | null = null;
  /** Received and not yet published, oldest first; bounded by main's limits on blocks under way. */
  readonly #feeds: Shown[] = [];
  /** Set while a publication waits for its feed; everything after it waits too. */
  #blockedOn: Publication | null = null;
  #backlog: (() => void)[] = [];

  /** `store`: the directory whose checkpoints hold the pages that are not in memory. */
  constructor(store: string, say: (progress: ViewProgress) => void) {
    this.#reader = new PageReader({ cold: new ColdPages(createFileDisk(store)) });
    this.#say = say;
  }

  publish(publication: Publication): void {
    this.#inOrder(() => this.#publish(publication));
  }

  delegate(delegation: Delegation): void {
    this.#inOrder(() => {
      this.#delegation = delegation;
      this.#view?.delegate(delegation);
    });
  }

  call(call: Answerable): unknown {
    return this.#settled((view) => answer(view, call));
  }

  /** Null while there is no view. */
  judgeSlice(source: SubnetId, slice: Uint8Array, verifyBls: NextSliceOptions["verifyBls"]): unknown {
    return this.#settled((view) => view.judgeSlice(source, slice, verifyBls));
  }

  /** The slice of the source's stream that this subnet should take next, from what both of them have published. */
  slice(source: SubnetView, options: NextSliceOptions): unknown {
    return source.#settled((from) => this.#settled((view) => view.nextSlice(from, options)));
  }

  /** Runs once everything sent before has been done; null while there is no view. */
  #settled<T>(action: (view: CertifiedView) => T | Promise<T | null>): T | Promise<T | null> | null {
    const run = (): T | Promise<T | null> | null => (this.#view === null ? null : action(this.#view));
    if (this.#blockedOn === null) return run();
    return new Promise((resolve, reject) => {
      this.#backlog.push(() => {
        try {
          resolve(run());
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  feed(feed: ViewFeed): void {
    if (this.#forming === null) {
      assert(feed.kind === "delta", "a state has one end");
      this.#wait(feed);
    } else if (feed.kind === "part") {
      this.#forming.add(feed.part);
      this.#say({ kind: "taken" });
    } else if (feed.kind === "delta") {
      for (const slab of feed.slabs) this.#reader.addSlab(slab);
      this.#forming.follow(feed.delta);
    } else {
      const { end, slabs, signature } = feed;
      const formed = this.#forming.finish(end);
      this.#forming = null;
      this.#wait({ kind: "formed", formed, slabs, signature });
    }
  }

  #wait(feed: Shown): void {
    this.#feeds.push(feed);
    if (this.#blockedOn === null) return;
    const publication = this.#blockedOn;
    this.#blockedOn = null;
    const waiting = [() => this.#publish(publication), ...this.#backlog];
    this.#backlog = [];
    for (const action of waiting) this.#inOrder(action);
  }

  #inOrder(action: () => void): void {
    if (this.#blockedOn === null) action();
    else this.#backlog.push(action);
  }

  /** One that comes with its signature shows the heights before it as well, which nobody sees by themselves. */
  #publish(publication: Publication): void {
    const { height, signature } = publication;
    for (;;) {
      const feed = this.#feeds.shift();
      if (feed === undefined) {
        this.#blockedOn = publication;
        return;
      }
      const at = this.#show(feed, signature);
      if (signature === null || at >= height) {
        assert(at === height, `publication ${height} meets the state of ${at}`);
        this.#say({ kind: "applied", height: at });
        return;
      }
    }
  }

  /** The height that is shown then. */
  #show(feed: Shown, signature: Uint8Array | null): Height {
    for (const slab of feed.slabs) this.#reader.addSlab(slab);
    this.#reader.closeSuperseded();
    const certificate = signature ?? feed.signature;
    assert(certificate !== null, "a state is shown with its subnet's signature");
    const certification = { signature: certificate, delegation: this.#delegation };
    if (feed.kind === "formed") {
      const { formed } = feed;
      this.#view = new CertifiedView({
        snapshot: formed,
        certification,
        pages: this.#reader,
        inflate: inflateGzip,
        startTimer: compositeQueryTimer,
      });
      return formed.height;
    }
    assert(this.#view !== null, "a delta follows a whole state");
    this.#view.apply(feed.delta, certification);
    return feed.delta.height;
  }
}

/** Compiling takes longer than most queries do. */
function isLong(view: CertifiedView, canisterId: CanisterId, probe: bigint | undefined): boolean {
  return probe !== undefined && view.mustCompile(canisterId);
}

function answer(view: CertifiedView, call: Answerable): unknown {
  switch (call.kind) {
    case "slice_request":
      return view.sliceRequest(call.source, SLICE_MESSAGES_MAX);
    case "slice_for":
      return view.sliceFor(call.request);
    case "stream_ends":
      return view.streamEnds(call.to);
    case "query":
      return isLong(view, call.query.canisterId, call.probe)
        ? "outgrown"
        : view.query(call.query, call.probe);
    case "answer_outcall":
      return view.answerOutcall(call.outcall, call.fetched);
    case "read_state":
      return view.readState(call.query);
    case "request_certificate":
      return view.requestCertificate(call.requestId, call.ranges, call.destination);
    case "take_query_stats":
      return view.takeQueryStats();
    case "inspect":
      return view.inspect(call.envelope, call.probe);
    case "delegation":
      return view.delegationOf(call.subnetId);
    default:
      return assertNever(call, "view call");
  }
}
