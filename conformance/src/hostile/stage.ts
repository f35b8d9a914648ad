/** A node of its own for what is hostile to it: started, asked, started again in the same directory. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Ed25519KeyIdentity } from "@icp-sdk/core/identity";
import type { Principal } from "@icp-sdk/core/principal";
import { createMclBls } from "@orrery/crypto/mcl";
import wabt from "wabt";
import { createArgument, decodeCreated, installArgument, MANAGEMENT } from "../durability/candid.ts";
import { CertificateClock } from "../durability/certificate-clock.ts";
import { type Answer, Client } from "../durability/client.ts";
import { type NodeProcess, type RunningNode, startNodeProcess } from "../durability/node-under-test.ts";

const NOTHING = new Uint8Array(0);

export async function worstModule(): Promise<Uint8Array> {
  const toolkit = await wabt();
  const module = toolkit.parseWat("worst.wat", readFileSync(new URL("./worst.wat", import.meta.url), "utf8"));
  try {
    return new Uint8Array(module.toBinary({}).buffer);
  } finally {
    module.destroy();
  }
}

export class Stage {
  readonly stateDir: string = mkdtempSync(join(tmpdir(), "orrery-hostile-"));
  readonly chaosFile: string = join(this.stateDir, "..", `orrery-chaos-${process.pid}-${Date.now()}`);
  /** Ends that nobody asked for, with the node's log. */
  readonly ends: Error[] = [];
  readonly client: Client;
  #node: NodeProcess | null = null;
  #at: RunningNode | null = null;

  private constructor(client: Client) {
    this.client = client;
  }

  static async open(): Promise<Stage> {
    const bls = await createMclBls();
    const identity = Ed25519KeyIdentity.generate();
    const stage = new Stage(new Client({ bls, clock: new CertificateClock(), identity }));
    await stage.start();
    return stage;
  }

  get at(): RunningNode {
    if (this.#at === null) throw new Error("the node does not run");
    return this.#at;
  }

  async start(): Promise<void> {
    const { stateDir, chaosFile } = this;
    const parts = { checkpointRounds: 50, logSegmentBytes: 1_000_000, applications: 1, hotPagesMax: 65_536 };
    this.#node = startNodeProcess({ stateDir, chaosFile, watchTurns: true, ...parts }, (error) =>
      this.ends.push(error),
    );
    this.#at = await this.#node.started;
  }

  /** Resolves when the node's process is gone. */
  async ended(): Promise<void> {
    await this.#node?.ended;
  }

  async close(): Promise<void> {
    await this.#node?.kill();
    rmSync(this.stateDir, { recursive: true, force: true });
    rmSync(this.chaosFile, { force: true });
  }

  async call(canisterId: Principal, method: string, arg: Uint8Array = NOTHING): Promise<Answer> {
    return await this.client.submit(this.at, await this.client.sign({ canisterId, method, arg }));
  }

  async manage(method: string, arg: Uint8Array, effectiveCanisterId: Principal): Promise<Answer> {
    const call = { canisterId: MANAGEMENT, method, arg, effectiveCanisterId };
    return await this.client.submit(this.at, await this.client.sign(call));
  }

  async create(): Promise<Principal> {
    const [near] = this.at.effectiveCanisterIds as [Principal];
    const method = "provisional_create_canister_with_cycles";
    return decodeCreated(replyOf(await this.manage(method, createArgument(), near)));
  }

  async install(id: Principal, module: Uint8Array): Promise<Answer> {
    return await this.manage(
      "install_code",
      installArgument({ id, mode: "install", module, arg: NOTHING }),
      id,
    );
  }

  async worst(): Promise<Principal> {
    const id = await this.create();
    replyOf(await this.install(id, await worstModule()));
    return id;
  }

  /** Keeps main busy; resolves when it answers again. */
  async block(ms: number): Promise<void> {
    this.#node?.block(ms);
    await fetch(`${this.at.url}/_/health`);
  }

  /** The longest turn of the node's main thread since the last look, milliseconds of processor time. */
  async longestTurnMs(): Promise<number> {
    const text = await (await fetch(`${this.at.url}/metrics`)).text();
    const line = /^orrery_main_turn_max_seconds (\S+)$/m.exec(text);
    if (line === null) throw new Error("the node is not watched");
    return Number(line[1]) * 1_000;
  }
}

export function replyOf(answer: Answer): Uint8Array {
  if (answer.kind !== "replied") throw new Error(JSON.stringify(answer));
  return answer.reply;
}

export function countOf(reply: Uint8Array): number {
  return new DataView(reply.buffer, reply.byteOffset).getUint32(0, true);
}
