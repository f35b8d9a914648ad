/**
 * Typed messages between the threads of a node: fire-and-forget posts and calls with an answer over one MessagePort. Sending
 * wakes the other thread, which costs more than most calls do, so calls and answers of one turn of the event loop travel
 * together; a post takes along what waits. Whatever is sent arrives in the order it was sent in. A thread that fails takes the
 * node down (`onFatal`): half a node never goes on.
 */
import type { MessagePort, Transferable, Worker } from "node:worker_threads";
import { OrreryError } from "@orrery/base";

/** What `MessagePort` and `Worker` share; a union of the two has no callable overload. */
interface Endpoint {
  postMessage(message: unknown, transfer?: readonly Transferable[]): void;
  on(event: "message", listener: (frames: readonly Frame[]) => void): unknown;
}

export type Port = MessagePort | Worker;

interface CallFrame {
  readonly call: number;
  readonly body: unknown;
}

interface AnswerFrame {
  readonly answer: number;
  readonly body?: unknown;
  readonly error?: ErrorDescription;
}

interface PostFrame {
  readonly post: unknown;
}

/** A thread's last words. */
interface FailureFrame {
  readonly failure: ErrorDescription;
}

type Frame = FailureFrame | CallFrame | AnswerFrame | PostFrame;

/** Errors cross threads as data: structured cloning would drop their code. */
export interface ErrorDescription {
  readonly code: string;
  readonly message: string;
  readonly stack: string;
}

export function describeError(error: unknown): ErrorDescription {
  if (error instanceof OrreryError)
    return { code: error.code, message: error.message, stack: error.stack ?? "" };
  if (error instanceof Error) return { code: "internal", message: error.message, stack: error.stack ?? "" };
  return { code: "internal", message: String(error), stack: "" };
}

export interface Channel<Out, In, Call = never> {
  post(message: Out, transfer?: readonly Transferable[]): void;
  /** Sends a message that is answered; rejects when the other side's handler threw. */
  call<T>(message: Call, transfer?: readonly Transferable[]): Promise<T>;
  /** Calls under way from this side. */
  readonly pending: number;
  readonly _in?: In;
}

export interface ChannelHandlers<In, InCall> {
  onPost(message: In): void;
  /** Result (or promise of it) goes back to the caller. */
  onCall?(message: InCall): unknown;
  /** Before such a call runs, the answers that wait are sent. */
  mayTakeLong?(message: InCall): boolean;
  /** The other side is a thread that failed and is gone. */
  onFailure?(error: OrreryError): void;
}

/** Makes an uncaught error of this worker thread reach the channel of the thread that started it, with its code, and ends it. */
export function reportFailures(parent: MessagePort): void {
  process.once("uncaughtException", (error) => {
    parent.postMessage([{ failure: describeError(error) } satisfies FailureFrame]);
    process.exit(1);
  });
}

function errorOf(described: ErrorDescription): OrreryError {
  return new OrreryError(described.code, described.message, { cause: described.stack });
}

/** Wires both directions of a port. */
export function createChannel<Out, In, Call = never, InCall = never>(
  endpoint: Port,
  handlers: ChannelHandlers<In, InCall>,
): Channel<Out, In, Call> {
  const port = endpoint as Endpoint;
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: unknown): void }>();
  let next = 1;
  let outgoing: Frame[] = [];

  function flush(transfer: readonly Transferable[] = []): void {
    if (outgoing.length === 0) return;
    const frames = outgoing;
    outgoing = [];
    port.postMessage(frames, transfer);
  }

  /** Sends the frame with what else this turn of the event loop brings. */
  function sendSoon(frame: Frame): void {
    outgoing.push(frame);
    if (outgoing.length === 1) setImmediate(() => flush());
  }

  /** Transferred objects go at once, since nobody may touch them any more. */
  function sendNow(frame: Frame, transfer: readonly Transferable[]): void {
    outgoing.push(frame);
    flush(transfer);
  }

  function answerCall(frame: CallFrame): void {
    const fail = (error: unknown): void => sendSoon({ answer: frame.call, error: describeError(error) });
    const body = frame.body as InCall;
    if (handlers.mayTakeLong?.(body) === true) flush();
    try {
      const result = handlers.onCall?.(body);
      if (result instanceof Promise) {
        result.then((value) => sendSoon({ answer: frame.call, body: value }), fail);
      } else {
        sendSoon({ answer: frame.call, body: result });
      }
    } catch (error) {
      fail(error);
    }
  }

  function receive(frame: Frame): void {
    if ("post" in frame) {
      handlers.onPost(frame.post as In);
    } else if ("call" in frame) {
      answerCall(frame);
    } else if ("failure" in frame) {
      handlers.onFailure?.(errorOf(frame.failure));
    } else {
      const waiter = waiting.get(frame.answer);
      waiting.delete(frame.answer);
      if (frame.error === undefined) waiter?.resolve(frame.body);
      else waiter?.reject(errorOf(frame.error));
    }
  }

  port.on("message", (frames) => {
    for (const frame of frames) receive(frame);
  });

  return {
    post(message, transfer = []): void {
      sendNow({ post: message }, transfer);
    },
    call<T>(message: Call, transfer: readonly Transferable[] = []): Promise<T> {
      const id = next++;
      return new Promise<T>((resolve, reject) => {
        waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
        const frame = { call: id, body: message };
        if (transfer.length > 0) sendNow(frame, transfer);
        else sendSoon(frame);
      });
    },
    get pending(): number {
      return waiting.size;
    },
  };
}
