/**
 * A network's genesis, founded by the nodes themselves: the processes that will run them, whose secrets are made and stay there. This one only carries what
 * they show each other, and puts it together; each node judges the result again before it begins (`run-node.ts`).
 */
import { type ChildProcess, fork } from "node:child_process";
import { OrreryError } from "@orrery/base";
import type { Hosted } from "@orrery/node";
import { ownScript } from "../own-script.ts";
import type { FoundingOrder, FoundingWord } from "./found-node.ts";

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
const bytesOf = (word: string): Uint8Array => new Uint8Array(Buffer.from(word, "base64"));

class Founder {
  readonly #place: number;
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  #errors = "";

  constructor(network: string, place: number) {
    this.#place = place;
    this.#child = fork(ownScript(), ["node", "found", `${place}`, "--state-dir", network], {
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    this.#child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
      this.#errors += chunk;
    });
    this.#ended = new Promise((resolve) => {
      this.#child.once("exit", () => resolve());
      // One that could not be started has no end either.
      this.#child.once("error", (error) => {
        this.#errors += error.message;
        resolve();
      });
    });
  }

  async ask(order: FoundingOrder): Promise<Uint8Array> {
    const said = new Promise<FoundingWord>((resolve) =>
      this.#child.once("message", (word) => resolve(word as FoundingWord)),
    );
    this.#child.send(order, () => {});
    const word = await Promise.race([said, this.#ended]);
    if (word === undefined) {
      throw new OrreryError(
        "start_failed",
        `node ${this.#place} ended before it had founded the network: ${this.#errors.trim()}`,
      );
    }
    if (word.kind === "failed") throw new OrreryError(word.code, word.message);
    return bytesOf(word.bytes);
  }

  async release(): Promise<void> {
    if (this.#child.connected) this.#child.disconnect();
    await this.#ended;
  }
}

/**
 * `plan`: the genesis record without keys (`newGenesisRecord`); `hosted`: what each process will have nodes of. In the network's directory each
 * process keeps its key.
 */
export async function foundNetwork(
  network: string,
  plan: Uint8Array,
  hosted: readonly (readonly Hosted[])[],
): Promise<Uint8Array> {
  const founders = hosted.map((_, process) => new Founder(network, process));
  try {
    const records = await Promise.all(
      founders.map((founder, process) => {
        const subnets = (hosted[process] ?? []).map(({ subnet }) => subnet);
        return founder.ask({ kind: "show", plan: text(plan), subnets });
      }),
    );
    const order: FoundingOrder = { kind: "deal", plan: text(plan), records: records.map(text) };
    const dealings = await Promise.all(founders.map((founder) => founder.ask(order)));
    const { foundGenesis } = await import("@orrery/node/founding");
    return await foundGenesis(plan, records, dealings);
  } finally {
    await Promise.all(founders.map((founder) => founder.release()));
  }
}
