/** A closed loop of clients on keep-alive connections, thin enough that the server is what is measured. */
import { Agent, request } from "node:http";

export interface LoadOptions {
  readonly port: number;
  /** Of all, or of the body at an index. */
  readonly path: string | ((index: number) => string);
  readonly bodies: readonly Uint8Array[];
  readonly concurrency: number;
  /** No client sends another body after this, by the clock of `performance`; by default all are sent. */
  readonly untilMs?: number;
  /** Looks at each answer; throws when it is not what it should be. `index`: of the body that it answers. */
  readonly check: (status: number, body: Uint8Array, index: number) => void;
}

export interface LoadResult {
  /** Sorted, milliseconds. */
  readonly latencies: readonly number[];
  readonly perSecond: number;
}

function post(agent: Agent, options: LoadOptions, index: number): Promise<void> {
  const { path } = options;
  const body = options.bodies[index] as Uint8Array;
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        agent,
        host: "127.0.0.1",
        port: options.port,
        path: typeof path === "string" ? path : path(index),
        method: "POST",
        headers: { "content-type": "application/cbor", "content-length": body.length },
      },
      (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
        incoming.on("end", () => {
          try {
            options.check(incoming.statusCode ?? 0, Buffer.concat(chunks), index);
            resolve();
          } catch (error) {
            reject(error);
          }
        });
      },
    );
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const agent = new Agent({ keepAlive: true, maxSockets: options.concurrency, noDelay: true } as never);
  const latencies: number[] = [];
  let next = 0;
  const { untilMs = Number.POSITIVE_INFINITY } = options;
  const client = async (): Promise<void> => {
    for (let index = next++; index < options.bodies.length; index = next++) {
      if (performance.now() >= untilMs) return;
      const start = performance.now();
      await post(agent, options, index);
      latencies.push(performance.now() - start);
    }
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: options.concurrency }, client));
  const seconds = (performance.now() - start) / 1000;
  agent.destroy();
  latencies.sort((a, b) => a - b);
  return { latencies, perSecond: latencies.length / seconds };
}

export function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] as number;
}
