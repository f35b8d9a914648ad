/** What the processes of a network of several nodes cost and how far they are: read from the system and from the nodes themselves. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

export interface NodeProcess {
  readonly pid: number;
  readonly url: string;
}

export interface SubnetProcesses {
  readonly kind: string;
  readonly nodes: readonly NodeProcess[];
}

/** The subnets of the network, the root first, and their nodes as it describes them now: processes change. */
export function subnetsOf(stateDir: string): readonly SubnetProcesses[] {
  const { subnets } = JSON.parse(readFileSync(join(stateDir, "node.json"), "utf8")) as {
    readonly subnets: readonly SubnetProcesses[];
  };
  return subnets;
}

const TICK_MS = 10;

/** Processor time that a process took so far; nothing where the system does not tell. */
export function cpuMsOf(pid: number): number {
  if (process.platform !== "linux") return 0;
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

/** Bytes that the nodes sent each other so far, over the connections that there are; nothing where the system does not tell. */
export function peerBytes(stateDir: string): number {
  if (process.platform !== "linux") return 0;
  const { peers } = JSON.parse(readFileSync(join(stateDir, "peers.json"), "utf8")) as {
    readonly peers: readonly { readonly port: number }[];
  };
  const filter = peers.flatMap(({ port }) => ["or", `sport = :${port}`, "or", `dport = :${port}`]).slice(1);
  const { stdout, status } = spawnSync("ss", ["-tinHO", ...filter], { encoding: "utf8" });
  if (status !== 0) throw new Error("bytes between nodes are read with ss (iproute2), which is not here");
  let bytes = 0;
  for (const [, sent] of stdout.matchAll(/bytes_sent:(\d+)/g)) bytes += Number(sent);
  return bytes;
}

/** Certified at a node of one subnet; null while it does not answer. */
export async function heightAt(url: string): Promise<number | null> {
  try {
    const response = await fetch(`${url}/_/subnets`, { signal: AbortSignal.timeout(2_000) });
    const { subnets } = (await response.json()) as {
      readonly subnets: readonly { readonly height: number | null }[];
    };
    return subnets[0]?.height ?? 0;
  } catch {
    return null;
  }
}
