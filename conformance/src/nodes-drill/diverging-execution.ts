/**
 * Takes the place of a node's execution of blocks in processes that are told to (`diverge.ts`), and of no other: the real one, but a block is
 * executed without its messages where a file in the node's directory says so. A node without that file does as it should.
 */
import { readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";

/** What of the real execution is read here. */
interface Execution {
  execute(batch: { readonly ingress: readonly Uint8Array[] }): unknown;
}

type ExecutionClass = new (options: { readonly storeDirectory: string }) => Execution;

const REAL_EXECUTION: string = new URL("./subnet-execution.ts", import.meta.resolve("@orrery/node")).href;
const real = (await import(REAL_EXECUTION)) as { readonly SubnetExecution: ExecutionClass };

/** In the node's directory: `once`, for the next block that has messages, or `always`. */
const ORDER_FILE = "diverge";

export class SubnetExecution extends real.SubnetExecution {
  readonly #order: string;

  constructor(options: { readonly storeDirectory: string }) {
    super(options);
    this.#order = join(dirname(options.storeDirectory), ORDER_FILE);
  }

  override execute(batch: { readonly ingress: readonly Uint8Array[] }): unknown {
    return super.execute(batch.ingress.length > 0 && this.#diverges() ? { ...batch, ingress: [] } : batch);
  }

  #diverges(): boolean {
    try {
      const order = readFileSync(this.#order, "utf8");
      if (order === "once") rmSync(this.#order);
      return order === "once" || order === "always";
    } catch {
      // There is no order.
      return false;
    }
  }
}
