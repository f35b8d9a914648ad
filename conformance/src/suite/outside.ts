/**
 * The world outside of the network, as far as the suite makes it: an HTTPS server whose answers cases choose by path, with a
 * certificate of its own that the network under test must trust. A network that the suite starts is told so by
 * `NODE_EXTRA_CA_CERTS`; one that runs already takes the certificate that `--outside` names the folder of.
 */
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Principal } from "@icp-sdk/core/principal";
import { selfSigned } from "@orrery/host/self-signed";
import { type Network, startNetwork, subnetsOf } from "../harness.ts";
import type { Identity } from "./identity.ts";

/** What a path below the origin answers, its last part being a number or a name. */
const ANSWERS: Readonly<Record<string, (response: ServerResponse, last: string, asked: Asked) => void>> = {
  /** Method, headers and body of the request, as JSON. */
  echo: (response, _, { method, headers, body }) =>
    void response.end(JSON.stringify({ method, headers, body: body.toString("base64") })),
  status: (response, last) => {
    response.statusCode = Number(last);
    response.end("told");
  },
  /** As many bytes. */
  bytes: (response, last) => void response.end(Buffer.alloc(Number(last), 97)),
  /** As many headers of its own. */
  headers: (response, last) => {
    for (let i = 0; i < Number(last); i++) response.setHeader(`x-${i}`, "v");
    response.end("told");
  },
  /** A header's value of as many bytes. */
  value: (response, last) => {
    response.setHeader("x-long", "v".repeat(Number(last)));
    response.end("told");
  },
  /** A header's name of as many bytes. */
  name: (response, last) => {
    response.setHeader("n".repeat(Number(last)), "v");
    response.end("told");
  },
  redirect: (response) => {
    response.statusCode = 302;
    response.setHeader("location", "/echo");
    response.end();
  },
  /** Ends the connection in the middle of the body. */
  torn: (response) => {
    response.setHeader("content-length", "1000");
    response.write("some");
    response.destroy();
  },
};

interface Asked {
  readonly method: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

export interface Outside {
  readonly origin: string;
  /** PEM file with the certificate. */
  readonly certificateFile: string;
  /** How often a path was asked for. */
  asked(path: string): number;
  close(): void;
}

export async function startOutside(folder?: string): Promise<Outside> {
  const own = folder === undefined ? mkdtempSync(join(tmpdir(), "orrery-outside-")) : null;
  const at = folder ?? (own as string);
  const [certificateFile, keyFile] = [join(at, "certificate.pem"), join(at, "key.pem")];
  if (!existsSync(certificateFile)) {
    const made = selfSigned();
    mkdirSync(at, { recursive: true });
    writeFileSync(certificateFile, made.certificate);
    writeFileSync(keyFile, made.key);
  }
  const counts = new Map<string, number>();
  const server: Server = createServer(
    { cert: readFileSync(certificateFile), key: readFileSync(keyFile), maxHeaderSize: 131_072 },
    (request, response) => {
      const path = request.url ?? "/";
      counts.set(path, (counts.get(path) ?? 0) + 1);
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const [, kind = "", last = ""] = path.split("?")[0]?.split("/") ?? [];
        const asked = {
          method: request.method ?? "",
          headers: request.headers,
          body: Buffer.concat(chunks),
        };
        response.sendDate = false;
        (ANSWERS[kind] ?? ANSWERS["echo"])?.(response, last, asked);
      });
    },
  );
  server.listen(0, "localhost");
  await once(server, "listening");
  return {
    origin: `https://localhost:${(server.address() as AddressInfo).port}`,
    certificateFile,
    asked: (path) => counts.get(path) ?? 0,
    close(): void {
      server.closeAllConnections();
      server.close();
      if (own !== null) rmSync(own, { recursive: true, force: true });
    },
  };
}

/** A network of a subnet of each kind, which trusts the server and has an administrator; of so many nodes each. */
export function startNetworkBeside(
  outside: Outside,
  administrator: Identity,
  nodesPerSubnet = 1,
): Promise<Network> {
  const admin = Principal.fromUint8Array(administrator.sender).toText();
  const nodes = nodesPerSubnet === 1 ? [] : ["--nodes-per-subnet", `${nodesPerSubnet}`];
  return startNetwork({
    environment: { NODE_EXTRA_CA_CERTS: outside.certificateFile },
    arguments: ["--subnet", "application", "--subnet", "cloud_engine", "--subnet-admin", admin, ...nodes],
  });
}

/** Where the nodes of a network that was started answer, each by itself; empty where there is one. */
export function urlsOfNodes({ document }: Pick<Network, "document">): readonly string[] {
  const urls = subnetsOf({ document }).application.nodes.map(({ url }) => url);
  return urls.length === 1 ? [] : urls;
}
