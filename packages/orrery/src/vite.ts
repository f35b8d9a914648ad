/**
 * A plugin for Vite's development server: `/api` leads to the local network, and pages get the `ic_env` cookie that an asset canister would give
 * them, with the network's root key and the ids of the project's canisters. Ids are read for each page, so a new deployment is seen at once.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { decodeCbor, OrreryError, toHex } from "@orrery/base";

export interface OrreryViteOptions {
  /** Where the network answers; by default what `.orrery` of the project says, or http://127.0.0.1:8000. */
  readonly url?: string;
  /** The environment of `icp.yaml` whose canisters are meant; `local` by default. */
  readonly environment?: string;
}

/** As much of Vite's interface as is used: the plugin fits any of its versions. */
export interface VitePlugin {
  readonly name: string;
  readonly apply: "serve";
  config(config: { readonly root?: string | undefined }): {
    readonly server: {
      readonly proxy: Readonly<Record<string, { readonly target: string; readonly changeOrigin: true }>>;
    };
  };
  configureServer(server: {
    readonly config: { readonly root: string };
    readonly middlewares: {
      use(handler: (request: unknown, response: Response, next: (error?: unknown) => void) => void): unknown;
    };
  }): void;
}

interface Response {
  setHeader(name: string, value: string): unknown;
}

const DEFAULT_URL = "http://127.0.0.1:8000";
const COOKIE = "ic_env";
const VARIABLE_PREFIX = "PUBLIC_CANISTER_ID:";
const ANSWER_TIMEOUT_MS = 5_000;

function readJson<T>(path: string): T | null {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as T;
  } catch {
    return null;
  }
}

function networkUrl(root: string): string {
  const info = readJson<{ readonly api_url?: unknown }>(join(root, ".orrery", "node.json"));
  return typeof info?.api_url === "string" ? info.api_url : DEFAULT_URL;
}

function canisterIds(root: string, environment: string): Readonly<Record<string, string>> {
  const files = ["data", "cache"].map((place) =>
    join(root, ".icp", place, "mappings", `${environment}.ids.json`),
  );
  return Object.assign({}, ...files.map((file) => readJson<Record<string, string>>(file) ?? {})) as Record<
    string,
    string
  >;
}

/** Hexadecimal, DER. Errors: `network_unreachable`. */
async function rootKey(url: string): Promise<string> {
  try {
    const signal = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
    const status = decodeCbor(await (await fetch(`${url}/api/v2/status`, { signal })).bytes());
    const key = status instanceof Map ? status.get("root_key") : null;
    if (key instanceof Uint8Array) return toHex(key);
    throw new Error("the status names no root key");
  } catch (cause) {
    throw new OrreryError(
      "network_unreachable",
      `no network of this program answers at ${url}; start one with "orrery start -d", or name its address in the plugin's options`,
      { cause },
    );
  }
}

function cookie(key: string, ids: Readonly<Record<string, string>>): string {
  const variables = Object.entries(ids).map(([name, id]) => `${VARIABLE_PREFIX}${name}=${id}`);
  return `${COOKIE}=${encodeURIComponent([`ic_root_key=${key}`, ...variables].join("&"))}; SameSite=Lax`;
}

/** `plugins: [orrery()]` in `vite.config.ts`. */
export function orrery(options: OrreryViteOptions = {}): VitePlugin {
  const { environment = "local" } = options;
  return {
    name: "orrery",
    apply: "serve",
    config({ root = process.cwd() }) {
      const target = options.url ?? networkUrl(root);
      return { server: { proxy: { "/api": { target, changeOrigin: true } } } };
    },
    configureServer({ config: { root }, middlewares }) {
      const url = options.url ?? networkUrl(root);
      let key: Promise<string> | null = null;
      middlewares.use((_, response, next) => {
        key ??= rootKey(url);
        key.then(
          (known) => {
            response.setHeader("Set-Cookie", cookie(known, canisterIds(root, environment)));
            next();
          },
          (error) => {
            key = null;
            next(error);
          },
        );
      });
    },
  };
}
