/**
 * One network, on the thread of all or in a page: its machine, its HTTPS interface, and the outcalls that it really makes. What only
 * a host or a browser can do comes from its surroundings.
 */
import { assertNever, concatBytes, fromHex, OrreryError, principalFromText } from "@orrery/base";
import type { Api, HttpResponse } from "@orrery/http";
import {
  type OutcallAnswer as Answer,
  archiveOf,
  type Instance,
  type InstanceHost,
} from "@orrery/sim/instance";
import { profiledMessage, profiledQueries, watchCall } from "@orrery/sim/profile";
import { traceToText, traceTrees } from "@orrery/sim/trace";
import type { Live } from "./live.ts";
import { Machine } from "./machine.ts";
import type { RealWorld } from "./outcalls.ts";
import type { HttpAnswer, HttpCall, NetworkAnswer, NetworkCall, Opened } from "./protocol.ts";
import type { OutcallRequest, RealOutcalls, Traces } from "./types.ts";

export interface RoomOptions {
  readonly wall: boolean;
  readonly outcalls: RealOutcalls | null;
}

export interface Surroundings {
  readonly host: InstanceHost;
  web(machine: Machine): Api;
  /** Makes outcalls; each answer is told. */
  realWorld(options: RealOutcalls, answer: (request: OutcallRequest, answer: Answer) => void): RealWorld;
  /** Goes on by itself, at a port. */
  startLive(
    machine: Machine,
    options: {
      readonly api: Api;
      /** After every turn: there may be outcalls. */
      readonly turned: () => void;
    },
  ): Promise<Live>;
}

export class Room {
  readonly #machine: Machine;
  readonly #options: RoomOptions;
  readonly #surroundings: Surroundings;
  #world: RealWorld | null;
  #live: Promise<Live> | null = null;
  /** Made when somebody first asks over HTTP. */
  #api: Api | null = null;

  constructor(instance: Instance, surroundings: Surroundings, options: RoomOptions) {
    this.#machine = new Machine(instance, options.wall);
    this.#options = options;
    this.#surroundings = surroundings;
    this.#world = options.outcalls === null ? null : this.#real(options.outcalls);
  }

  #real(options: RealOutcalls): RealWorld {
    return this.#surroundings.realWorld(options, ({ subnetId, id }, answer) => {
      this.#machine.answerOutcall(subnetId, id, answer);
      this.#machine.settle();
      this.#begin();
    });
  }

  opened(): Opened {
    const { instance } = this.#machine;
    return {
      rootKey: instance.rootKey,
      mainSubnet: this.#machine.mainSubnet(),
      subnets: instance.topology().subnets,
      time: instance.time,
    };
  }

  fork(): Room {
    return new Room(this.#machine.instance.fork(), this.#surroundings, this.#options);
  }

  /** Outcalls that are to be made really are, whatever led to them. */
  #begin(): void {
    if (this.#options.outcalls === null && this.#live === null) return;
    this.#world?.begin(this.#machine.outcalls());
  }

  /** Answers at once, or when the outcalls under way that the answer depends on have theirs. */
  answer(call: NetworkCall): NetworkAnswer | Promise<NetworkAnswer> {
    return this.#world === null ? this.answerNow(call) : this.#answerInTime(call, this.#world);
  }

  async #answerInTime(call: NetworkCall, world: RealWorld): Promise<NetworkAnswer> {
    let next = call;
    for (;;) {
      const result = this.answerNow(next);
      this.#begin();
      if (result.ok || result.error.code !== "call_pending") return result;
      const waiting = world.next();
      if (waiting === null) return result;
      await waiting;
      const { requestId, subnetId } = result.error.data;
      next = { kind: "resume", requestId: requestId as string, subnetId: subnetId as string };
    }
  }

  /** Without waiting for outcalls under way. */
  answerNow(call: NetworkCall): NetworkAnswer {
    try {
      return { ok: true, value: this.#perform(call) };
    } catch (error) {
      const { message } = error as Error;
      const { code, data } = error instanceof OrreryError ? error : { code: "internal", data: {} };
      return { ok: false, error: { code, message, data } };
    }
  }

  #perform(call: NetworkCall): unknown {
    const machine = this.#machine;
    switch (call.kind) {
      case "update":
        return machine.update(call.call);
      case "resume":
        return machine.resume(call.subnetId, call.requestId);
      case "outcalls":
        return machine.outcalls();
      case "answer_outcall": {
        const waited = machine.answerOutcall(call.subnetId, call.id, call.answer);
        machine.settle();
        return waited;
      }
      case "query":
        return machine.query(call.call);
      case "time":
        return machine.now();
      case "advance":
        return machine.advance(call.durationNs);
      case "tick":
        return machine.tick();
      case "intercept":
        return machine.intercept(call.rules);
      case "held":
        return machine.heldMessages();
      case "release":
        machine.instance.releaseMessages(call.ids);
        return machine.settle();
      case "save":
        return archiveOf(machine.instance);
      case "trace":
        return machine.instance.trace(call.on);
      case "take_traces":
        return tracesOf(machine.instance);
      case "submit":
        return machine.submit(call.call);
      case "profile":
        return watchCall(machine.instance, call.canisters?.map(principalFromText) ?? null);
      case "take_profile":
        return call.requestId === null
          ? profiledQueries(machine.instance, call)
          : profiledMessage(machine.instance, fromHex(call.requestId), call);
      case "keeps_heap":
        return machine.keepsHeap(call.canisterId);
      case "complete": {
        machine.now();
        const { instance } = machine;
        const submitted = instance.submitIngress(call.call);
        return submitted.ok ? instance.awaitIngress(submitted.value) : submitted;
      }
      case "invoke": {
        machine.now();
        const { instance } = machine;
        return (instance[call.method] as (...args: readonly unknown[]) => unknown).call(
          instance,
          ...call.args,
        );
      }
      default:
        return assertNever(call, "call of an in-process network");
    }
  }

  async http({ method, url, headers, body }: HttpCall): Promise<HttpAnswer> {
    this.#api ??= this.#surroundings.web(this.#machine);
    const response = this.#api({
      method,
      url,
      header: (name) => headers.get(name),
      headers: () => [...headers],
      body,
    });
    this.#begin();
    const answer = await response;
    const single = Object.entries(answer.headers).map(([name, value]) => [name, String(value)]);
    return { status: answer.status, headers: Object.fromEntries(single), body: await whole(answer) };
  }

  /** Its port, at which it goes on by itself until it is told not to. */
  async live(on: boolean): Promise<number> {
    if (!on) {
      const live = this.#live;
      this.#live = null;
      await (await live)?.stop();
      return 0;
    }
    this.#world ??= this.#real({ plainHttp: true });
    this.#api ??= this.#surroundings.web(this.#machine);
    this.#live ??= this.#surroundings.startLive(this.#machine, {
      api: this.#api,
      turned: () => this.#begin(),
    });
    return (await this.#live).port;
  }

  async close(): Promise<void> {
    await this.live(false);
    this.#world?.close();
    this.#machine.instance.dispose();
  }
}

function tracesOf(instance: Instance): Traces {
  const traces = traceTrees(instance.takeTrace());
  return { traces, text: traceToText(traces) };
}

async function whole({ body, stream }: HttpResponse): Promise<HttpAnswer["body"]> {
  if (stream === undefined) return body;
  const pieces: Uint8Array[] = [];
  for await (const piece of stream) pieces.push(piece);
  return concatBytes(...pieces);
}
