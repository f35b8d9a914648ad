/** A network that goes on by itself, at a port: rounds twice a second and whenever there is something to do, outcalls really made. */
import { type HttpServer, startHttpServer } from "@orrery/host";
import type { Api } from "@orrery/http";
import type { Machine } from "./machine.ts";

const IDLE_ROUND_MS = 500;

export interface Live {
  readonly port: number;
  stop(): Promise<void>;
}

export async function startLive(
  machine: Machine,
  options: {
    readonly api: Api;
    /** After every turn: there may be outcalls. */
    readonly turned: () => void;
  },
): Promise<Live> {
  const { api, turned } = options;
  machine.followWall(true);
  const turn = (): void => {
    machine.tick();
    machine.settle();
    turned();
  };
  turn();
  const timer = setInterval(turn, IDLE_ROUND_MS);
  const server: HttpServer = await startHttpServer({
    port: 0,
    bind: "127.0.0.1",
    handle: async ({ method, url, header, headers, body }) => {
      const response = await api({ method, url, header, headers, body });
      turned();
      return response;
    },
    // A request that fails is answered 500 by the server; nobody else is to know.
    onError: () => {},
  });
  return {
    port: server.port,
    async stop(): Promise<void> {
      clearInterval(timer);
      machine.followWall(false);
      await server.close();
    },
  };
}
