/**
 * One port in front of the nodes of a network: each connection goes to the next node that takes it. Bytes pass as they are: any node
 * accepts updates and answers queries, and everything that it says is certified or signed.
 */
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { OrreryError } from "@orrery/base";

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

function join(client: Socket, node: Socket): void {
  const end = (): void => {
    client.destroy();
    node.destroy();
  };
  for (const socket of [client, node]) {
    socket.removeAllListeners("error");
    socket.on("error", end);
    socket.setNoDelay(true);
  }
  client.on("close", end);
  node.on("close", end);
  client.pipe(node).pipe(client);
}

/** Tries one node after another. */
function lead(client: Socket, ports: readonly number[]): void {
  const [port, ...others] = ports;
  if (port === undefined) {
    client.end(UNAVAILABLE);
    return;
  }
  const node = createConnection({ host: "127.0.0.1", port });
  node.once("connect", () => join(client, node));
  node.once("error", () => lead(client, others));
}

/** `port_taken` where somebody has it. */
export async function startFront({ port, bind, ports }: FrontOptions): Promise<Front> {
  let turn = 0;
  const clients = new Set<Socket>();
  const server: Server = createServer((client) => {
    clients.add(client);
    client.once("close", () => clients.delete(client));
    client.on("error", () => client.destroy());
    const all = ports();
    const first = all.length === 0 ? 0 : turn++ % all.length;
    lead(client, [...all.slice(first), ...all.slice(0, first)]);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) =>
      reject(
        new OrreryError(
          "port_taken",
          `port ${port} on ${bind} cannot be listened on (${cause.message}); choose another with --port`,
          { cause },
        ),
      ),
    );
    server.listen(port, bind, resolve);
  });
  return {
    port: (server.address() as { readonly port: number }).port,
    async close(): Promise<void> {
      const closed = new Promise((done) => server.close(done));
      for (const client of clients) client.destroy();
      await closed;
    },
  };
}
