/**
 * In the place of a server process, which nothing here needs: networks run in the program's own process. It has an address only because
 * tests pass one on.
 */
import type { StartServerOptions } from "./types.ts";

export class PocketIcServer {
  private constructor() {}

  /** Nothing is started, and the options change nothing. */
  static async start(_options: StartServerOptions = {}): Promise<PocketIcServer> {
    return new PocketIcServer();
  }

  getUrl(): string {
    return "http://localhost";
  }

  async stop(): Promise<void> {}
}
