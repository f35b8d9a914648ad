/**
 * One port in front of the nodes of a network: each connection goes to the next node that takes it. Bytes pass as they are: any node
 * accepts updates and answers queries, and everything that it says is certified or signed.
 */
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { pipeline } from "node:stream";

export interface Front {
  readonly port: number;
  close(): Promise<void>;
}

export interface FrontOptions {
  readonly port: number;
  readonly bind: string;
  /** Ports of the nodes that answer now. */
  readonly ports: () => readonly number[];
}

const UNAVAILABLE =
  "HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\ncontent-length: 40\r\nconnection: close\r\n\r\n" +
  "No node of the network can be reached.\r\n";

/** Each half ends when what came for it is through; a failure of either connection ends both. */
function join(client: Socket, node: Socket): void {
  for (const socket of [client, node]) {
    socket.removeAllListeners("error");
    // A pipeline that is through listens no longer.
    socket.on("error", () => socket.destroy());
    socket.setNoDelay(true);
  }
  const settle = (error: NodeJS.ErrnoException | null | undefined): void => {
    if (!error) return;
    client.destroy();
    node.destroy();
  };
  pipeline(client, node, settle);
  pipeline(node, client, settle);
}

/** Tries one node after another. */
function lead(client: Socket, ports: readonly number[]): void {
  const [port, ...others] = ports;
  if (port === undefined) {
    client.end(UNAVAILABLE);
    return;
  }
  const node = createConnection({ host: "127.0.0.1", port, allowHalfOpen: true });
  node.once("connect", () => join(client, node));
  node.once("error", () => lead(client, others));
}

/** `port_taken` and `listen_failed` as a node has them. */
export async function startFront({ port, bind, ports }: FrontOptions): Promise<Front> {
  let turn = 0;
  const clients = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true }, (client) => {
    clients.add(client);
    client.once("close", () => clients.delete(client));
    client.on("error", () => client.destroy());
    const all = ports();
    const first = all.length === 0 ? 0 : turn++ % all.length;
    lead(client, [...all.slice(first), ...all.slice(0, first)]);
  });
  const { listen } = await import("@orrery/host");
  await listen(server, { port, bind });
  return {
    port: (server.address() as { readonly port: number }).port,
    async close(): Promise<void> {
      const closed = new Promise((done) => server.close(done));
      for (const client of clients) client.destroy();
      await closed;
    },
  };
}
