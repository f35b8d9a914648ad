/**
 * What operators hand each other before their network begins: a folder with the plan, a record of each node and what each dealt, named by
 * its node. Nothing in it is secret, and whoever carries it can change nothing unnoticed. Reading is strict: a file is what it says or
 * `ceremony_invalid`.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { OrreryError } from "@orrery/base";
import { writeWhole } from "../state-files.ts";

const PLAN_FILE = "plan.json";
const RECORD_NAME = /^(.+)\.node\.json$/;
const NODE_NAME = /^[a-z0-9][a-z0-9-]{0,31}$/;
/** Dealings of two keys for each of some subnets to forty nodes. */
const FILE_BYTES_MAX: number = 64 * 1024 * 1024;
const PORT_MAX = 65_535;

export interface PeerAddress {
  readonly host: string;
  readonly port: number;
}

/** Of a node: its record as `@orrery/node/founding` makes it, and where it listens for the others. */
export interface NodeFile {
  readonly name: string;
  readonly address: PeerAddress;
  readonly record: Uint8Array;
}

/** What a node dealt, and the hash of all that it had seen of the others then. */
export interface DealingFile {
  readonly founders: string;
  readonly dealing: Uint8Array;
}

export function ceremonyInvalid(path: string, why: string): OrreryError {
  return new OrreryError("ceremony_invalid", `${path} ${why}; have it sent again by who made it`, {
    data: { path },
  });
}

export function isNodeName(name: string): boolean {
  return NODE_NAME.test(name);
}

/** `host:port`, an IPv6 address in brackets; null for anything else. */
export function parseAddress(text: string): PeerAddress | null {
  const match = /^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):(\d{1,5})$/.exec(text);
  if (match === null) return null;
  const [, host = "", digits = ""] = match;
  const port = Number(digits);
  return port < 1 || port > PORT_MAX ? null : { host: host.replace(/^\[|\]$/g, ""), port };
}

export function showAddress({ host, port }: PeerAddress): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Of a file that operators hand each other. `ceremony_invalid` for anything else. */
export function readFields(path: string): Readonly<Record<string, unknown>> {
  const bytes = readFileSync(path);
  if (bytes.length > FILE_BYTES_MAX) throw ceremonyInvalid(path, `has more than ${FILE_BYTES_MAX} bytes`);
  let fields: unknown;
  try {
    fields = JSON.parse(bytes.toString("utf8"));
  } catch {
    throw ceremonyInvalid(path, "is not JSON");
  }
  if (typeof fields !== "object" || fields === null || !("v" in fields) || fields.v !== "1")
    throw ceremonyInvalid(path, "is of no version that this program knows");
  return fields as Readonly<Record<string, unknown>>;
}

/** In base 64 under that key. */
export function bytesIn(path: string, fields: Readonly<Record<string, unknown>>, key: string): Uint8Array {
  const text = fields[key];
  const bytes = typeof text === "string" ? new Uint8Array(Buffer.from(text, "base64")) : null;
  if (bytes === null || bytes.length === 0 || Buffer.from(bytes).toString("base64") !== text)
    throw ceremonyInvalid(path, `has no bytes in base 64 as "${key}"`);
  return bytes;
}

export const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");

export function writeFields(path: string, fields: Readonly<Record<string, unknown>>): void {
  writeWhole(path, `${JSON.stringify({ v: "1", ...fields }, null, 2)}\n`);
}

export function hasPlan(folder: string): boolean {
  return existsSync(join(folder, PLAN_FILE));
}

export function readPlan(folder: string): Uint8Array {
  const path = join(folder, PLAN_FILE);
  if (!hasPlan(folder)) {
    throw new OrreryError(
      "ceremony_invalid",
      `${folder} has no ${PLAN_FILE}: one of the operators makes it with "orrery node plan", and all others get it from there`,
    );
  }
  return bytesIn(path, readFields(path), "plan");
}

export function writePlan(folder: string, plan: Uint8Array): string {
  const path = join(folder, PLAN_FILE);
  writeFields(path, { plan: base64(plan) });
  return path;
}

const recordPath = (folder: string, name: string): string => join(folder, `${name}.node.json`);
const dealingPath = (folder: string, name: string): string => join(folder, `${name}.dealing.json`);

/** By name, which is their places' order. */
export function readNodes(folder: string): readonly NodeFile[] {
  return readdirSync(folder)
    .flatMap((file) => RECORD_NAME.exec(file)?.[1] ?? [])
    .sort()
    .map((name) => {
      const path = recordPath(folder, name);
      if (!isNodeName(name)) throw ceremonyInvalid(path, "has a name that no node has");
      const fields = readFields(path);
      const address = typeof fields["address"] === "string" ? parseAddress(fields["address"]) : null;
      if (address === null) throw ceremonyInvalid(path, "has no address like name.example:9000");
      return { name, address, record: bytesIn(path, fields, "record") };
    });
}

export function writeNode(folder: string, { name, address, record }: NodeFile): string {
  const path = recordPath(folder, name);
  writeFields(path, { address: showAddress(address), record: base64(record) });
  return path;
}

/** Null while it is not there. */
export function readDealing(folder: string, name: string): DealingFile | null {
  const path = dealingPath(folder, name);
  if (!existsSync(path)) return null;
  const fields = readFields(path);
  const { founders } = fields;
  if (typeof founders !== "string") throw ceremonyInvalid(path, "does not say to whom it was dealt");
  return { founders, dealing: bytesIn(path, fields, "dealing") };
}

export function writeDealing(folder: string, name: string, { founders, dealing }: DealingFile): string {
  const path = dealingPath(folder, name);
  writeFields(path, { founders, dealing: base64(dealing) });
  return path;
}
