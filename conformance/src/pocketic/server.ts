/** A PocketIC-protocol server of this repository for tests, as a process of its own, and what is asked of it without a client library. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const REPOSITORY: string = fileURLToPath(new URL("../../../", import.meta.url));

/** For clients that start their server by themselves. */
export const BINARY: string = join(REPOSITORY, "bin/pocket-ic");
const ENTRY: string = join(REPOSITORY, "apps/pocketic/src/main.ts");
const START_MS_MAX = 60_000;
const POLL_MS = 10;

export interface Server {
  readonly url: string;
  readonly port: number;
  readonly portFile: string;
  readonly child: ChildProcess;
  stdout(): string;
  stderr(): string;
  /** Resolves to the exit code, null after a kill. */
  end(signal?: NodeJS.Signals): Promise<number | null>;
}

export interface ServerOptions {
  readonly arguments?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

/** Starts a server and resolves once its port file says where it listens. */
export async function startServer(options: ServerOptions = {}): Promise<Server> {
  const folder = mkdtempSync(join(tmpdir(), "orrery-pocket-ic-"));
  const portFile = join(folder, "port");
  const child = spawn(process.execPath, [ENTRY, "--port-file", portFile, ...(options.arguments ?? [])], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...options.environment },
  });
  const output = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const) {
    child[stream].setEncoding("utf8").on("data", (text: string) => {
      output[stream] += text;
    });
  }
  const ended = once(child, "exit") as Promise<[number | null]>;
  const deadline = Date.now() + START_MS_MAX;
  let text = "";
  while (!text.endsWith("\n")) {
    if (child.exitCode !== null || Date.now() > deadline)
      throw new Error(`the server did not start: ${output.stdout}${output.stderr}`);
    await new Promise((done) => setTimeout(done, POLL_MS));
    text = existsSync(portFile) ? readFileSync(portFile, "utf8") : "";
  }
  const port = Number(text);
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    portFile,
    child,
    stdout: () => output.stdout,
    stderr: () => output.stderr,
    async end(signal = "SIGTERM") {
      child.kill(signal);
      const [code] = await ended;
      rmSync(folder, { recursive: true, force: true });
      return code;
    },
  };
}

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** The body as JSON; numbers beyond 2^53 lose bits here. */
  json(): unknown;
}

export interface Asked {
  readonly method?: string;
  readonly body?: string | Uint8Array | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

/** One request on a connection of its own, any host header and any body. */
export function ask(server: Pick<Server, "port">, path: string, asked: Asked = {}): Promise<Reply> {
  const { body, headers = {}, method = body === undefined ? "GET" : "POST" } = asked;
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      { port: server.port, host: "127.0.0.1", path, method, agent: false, headers },
      (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk: string) => {
          text += chunk;
        });
        response.on("end", () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text,
            json: () => (text === "" ? null : JSON.parse(text)),
          }),
        );
        response.on("error", reject);
      },
    );
    request.on("error", reject);
    request.end(body);
  });
}

/** A body with bare integers of any size: bigints are written as they are. */
export function withIntegers(value: unknown): string {
  return JSON.stringify(value, (_, one: unknown) =>
    typeof one === "bigint" ? `\u0000${one}\u0000` : one,
  ).replaceAll(/"\\u0000(-?\d+)\\u0000"/g, "$1");
}

/** Makes an instance and returns its id. */
export async function newInstance(
  server: Server,
  config: unknown = { subnet_config_set: { application: [{ state_config: "New" }] } },
): Promise<number> {
  const reply = await ask(server, "/instances", { body: withIntegers(config) });
  if (reply.status !== 201) throw new Error(`no instance: ${reply.status} ${reply.text}`);
  return (reply.json() as { Created: { instance_id: number } }).Created.instance_id;
}
