/**
 * Runs one script of the specification's tests: keeps the instances that its commands name and holds four executors together
 * (players.testing.ts).
 */
import { createEngine, validateModule } from "../index.ts";
import { type Entry, type Internalised, internalise, NotAlone } from "./internalise.testing.ts";
import {
  CanisterPlayer,
  disagreement,
  OraclePlayer,
  type Outcome,
  PlainPlayer,
  type Player,
} from "./players.testing.ts";
import {
  type ExpectedValue,
  type Expression,
  type ModuleSource,
  matches,
  moduleSource,
  readConstants,
  stringBytes,
} from "./script.testing.ts";

export interface Tally {
  /** Commands on which all agreed, by kind. */
  readonly passed: Map<string, number>;
  /** Modules and assertions refused by a rule for canisters, by reason. */
  readonly refused: Map<string, number>;
  /** What says nothing about this package, by reason. */
  readonly skipped: Map<string, number>;
  readonly failures: string[];
}

/** The instance of a module of the script, or why there is none. */
type Subject =
  | { readonly kind: "ready"; readonly module: Internalised; readonly players: readonly Player[] }
  | { readonly kind: "absent"; readonly tally: "refused" | "skipped"; readonly reason: string };

const UNREADABLE = "text that the assembler does not know";
const FIELDS = /^(func|type|import|export|memory|table|global|elem|data|start|rec|tag)$/;

export class ScriptRun {
  readonly #path: string;
  readonly #tally: Tally;
  readonly #named: Map<string, Subject> = new Map();
  #current: Subject = { kind: "absent", tally: "skipped", reason: "no module" };
  /** Names of the modules whose state other modules may import. */
  readonly #registered: Set<string> = new Set();
  #latest = "";
  readonly #constants: Map<Expression, ExpectedValue | null> = new Map();

  constructor(path: string, tally: Tally) {
    this.#path = path;
    this.#tally = tally;
  }

  run(commands: readonly Expression[]): void {
    const heads = commands.map((command) => command.items[0] as string);
    if (heads.every((head) => FIELDS.test(head))) {
      // A script of fields only is one module.
      const text = `(module ${commands.map((command) => command.text).join("\n")})`;
      this.#command({ items: ["module"], text, line: 1 });
      return;
    }
    const constants = commands.flatMap((command) => constantsOf(command));
    for (const [i, value] of readConstants(constants).entries())
      this.#constants.set(constants[i] as Expression, value);
    for (const command of commands) this.#command(command);
  }

  #count(kind: "passed" | "refused" | "skipped", reason: string): void {
    const counts = this.#tally[kind];
    counts.set(reason, (counts.get(reason) ?? 0) + 1);
  }

  #fail(command: Expression, message: string): void {
    const text = command.text.replaceAll(/\s+/g, " ").slice(0, 160);
    this.#tally.failures.push(`${this.#path}:${command.line}: ${message}: ${text}`);
  }

  #command(command: Expression): void {
    const [head, argument] = command.items;
    const inner = argument as Expression;
    switch (head) {
      case "module":
        this.#module(command);
        return;
      case "register":
        this.#registered.add(typeof command.items[2] === "string" ? command.items[2] : this.#latest);
        return;
      case "assert_malformed":
      case "assert_invalid":
        this.#assertInvalid(command, moduleSource(inner));
        return;
      case "assert_unlinkable":
        this.#assertUnlinkable(command, moduleSource(inner));
        return;
      case "assert_uninstantiable":
        this.#assertTrappingModule(command, inner);
        return;
      case "assert_trap":
        if (inner.items[0] === "module") this.#assertTrappingModule(command, inner);
        else this.#action(command, inner);
        return;
      case "invoke":
      case "get":
        this.#action(command, command);
        return;
      case "assert_return":
      case "assert_exhaustion":
        this.#action(command, inner);
        return;
      default:
        this.#count("skipped", `command ${head}`);
    }
  }

  #module(command: Expression): void {
    const name = command.items[1];
    if (name === "definition" || command.items[2] === "definition" || name === "instance") {
      this.#count("skipped", "definitions and instances of modules");
      return;
    }
    this.#current = this.#open(command, moduleSource(command));
    this.#latest = typeof name === "string" && name.startsWith("$") ? name : "";
    this.#named.set(this.#latest, this.#current);
    const subject = this.#current;
    if (subject.kind === "absent") this.#count(subject.tally, `module: ${subject.reason}`);
    else {
      const outcomes = subject.players.map((player) => player.start());
      const problem = disagreement(subject.players, outcomes);
      if (problem !== null || outcomes[0]?.kind !== "returned")
        this.#fail(command, problem ?? `the start function ended with ${outcomes[0]?.kind}`);
      else this.#count("passed", "module");
    }
  }

  /** A module that cannot be run here may have changed what it imports: the state of registered modules is not known any more. */
  #forgetShared(): void {
    const reason = "state shared with another module";
    const forgotten: Subject = { kind: "absent", tally: "refused", reason };
    for (const name of this.#registered) {
      if (this.#named.get(name) === this.#current) this.#current = forgotten;
      this.#named.set(name, forgotten);
    }
  }

  #open(command: Expression, source: ModuleSource): Subject {
    if (source.bytes === null) {
      this.#forgetShared();
      return { kind: "absent", tally: "skipped", reason: UNREADABLE };
    }
    let module: Internalised;
    try {
      module = internalise(source.bytes);
    } catch (error) {
      if (!(error instanceof NotAlone)) throw error;
      // What is refused as it stands needs no rebuilding to tell.
      if (validateModule(source.bytes).ok) this.#fail(command, `accepted although it has ${error.message}`);
      this.#forgetShared();
      return { kind: "absent", tally: "refused", reason: error.message };
    }
    const engine = createEngine();
    const compiled = engine.compile(module.wasm);
    if (!compiled.ok) {
      const reason = `${compiled.error.kind}: ${compiled.error.message.replaceAll(/\d+/g, "N").slice(0, 90)}`;
      return { kind: "absent", tally: "refused", reason };
    }
    const players: Player[] = [new PlainPlayer(module), new OraclePlayer(module)];
    for (const form of ["fast", "exact"] as const)
      players.push(new CanisterPlayer(module, form, engine, compiled.value));
    return { kind: "ready", module, players };
  }

  #assertInvalid(command: Expression, source: ModuleSource): void {
    const kind = command.items[0] as string;
    if (source.quoted || source.bytes === null) {
      this.#count("skipped", `${kind}: ${source.quoted ? "the text format" : UNREADABLE}`);
      return;
    }
    const refused = !validateModule(source.bytes).ok;
    const plain = WebAssembly.validate(source.bytes);
    if (!refused) this.#fail(command, `accepted (the plain engine ${plain ? "accepts" : "refuses"} it)`);
    else this.#count("passed", plain ? `${kind}, which the plain engine accepts` : kind);
  }

  #assertUnlinkable(command: Expression, source: ModuleSource): void {
    if (source.bytes === null) this.#count("skipped", UNREADABLE);
    else if (validateModule(source.bytes).ok) this.#fail(command, "accepted");
    else this.#count("passed", "assert_unlinkable");
  }

  /** A module whose instantiation, start function included, traps. */
  #assertTrappingModule(command: Expression, inner: Expression): void {
    const source = moduleSource(inner);
    if (source.bytes === null) {
      this.#count("skipped", UNREADABLE);
      return;
    }
    let module: Internalised;
    try {
      module = internalise(source.bytes);
    } catch (error) {
      if (!(error instanceof NotAlone)) throw error;
      this.#forgetShared();
      this.#count("refused", `module: ${error.message}`);
      return;
    }
    const traps = [() => new PlainPlayer(module), () => new OraclePlayer(module)].map((open) => {
      try {
        return open().start().kind !== "returned";
      } catch {
        return true;
      }
    });
    const engine = createEngine();
    const compiled = engine.compile(module.wasm);
    if (compiled.ok) {
      for (const form of ["fast", "exact"] as const)
        traps.push(new CanisterPlayer(module, form, engine, compiled.value).start().kind !== "returned");
    }
    if (!traps.every((trapped) => trapped)) this.#fail(command, `traps: ${traps.join(", ")}`);
    else this.#count("passed", "assert_trap of a module");
  }

  /** `invoke` and `get`, with what an assertion around them expects. */
  #action(command: Expression, action: Expression): void {
    const [head, ...rest] = action.items;
    const name = typeof rest[0] === "string" && rest[0].startsWith("$") ? (rest.shift() as string) : null;
    const subject = name === null ? this.#current : this.#named.get(name);
    const kind = command.items[0] as string;
    if (subject === undefined || subject.kind === "absent") {
      this.#count(subject?.tally ?? "skipped", `${kind}: ${subject?.reason ?? "no module"}`);
      return;
    }
    const exportName = new TextDecoder("utf-8", { ignoreBOM: true }).decode(stringBytes(rest[0] as string));
    const entry = subject.module.entries.find((item) => item.exportName === exportName);
    if (entry === undefined || (head !== "invoke" && head !== "get")) {
      this.#fail(command, `no export ${exportName}`);
      return;
    }
    const args = rest.slice(1).map((item) => this.#constants.get(item as Expression) ?? null);
    if (args.some((arg) => arg === null)) {
      this.#count("skipped", `${kind}: references of the host`);
      return;
    }
    const words = args.flatMap((arg) => (arg as ExpectedValue).words);
    const outcomes = subject.players.map((player) => player.call(entry, words));
    const problem =
      disagreement(subject.players, outcomes) ?? this.#unexpected(command, entry, outcomes[1] as Outcome);
    if (problem !== null) this.#fail(command, problem);
    else this.#count("passed", kind);
  }

  /** What is wrong with the oracle's outcome by the script. */
  #unexpected(command: Expression, entry: Entry, outcome: Outcome): string | null {
    const [kind, , ...expected] = command.items;
    if (kind === "invoke" || kind === "get") return null;
    if (kind === "assert_exhaustion")
      return outcome.kind === "exhausted" ? null : `ended with ${outcome.kind}`;
    if (kind === "assert_trap") {
      const text = (expected[0] as string).slice(1, -1);
      if (outcome.kind !== "trapped") return `ended with ${outcome.kind}`;
      // A length is paid for before it is looked at; the script's may be beyond any counter.
      if (outcome.trap === "out of instructions") return null;
      const same = text.startsWith(outcome.trap) || outcome.trap.startsWith(text);
      return same ? null : `trapped with ${outcome.trap}`;
    }
    if (outcome.kind !== "returned") return `ended with ${outcome.kind}`;
    let at = 0;
    for (const [i, item] of expected.entries()) {
      const count = entry.results[i] === 0x7b ? 2 : 1;
      const words = outcome.words.slice(at, at + count);
      at += count;
      if (!this.#isExpected(item as Expression, words))
        return `result ${i} is ${words.map((word) => word.toString(16)).join(" ")}`;
    }
    return null;
  }

  #isExpected(item: Expression, words: readonly bigint[]): boolean {
    if (item.items[0] === "either")
      return item.items.slice(1).some((choice) => this.#isExpected(choice as Expression, words));
    // A reference of the host or to a function: not null.
    if (/^ref\.(extern|func|host)$/.test(item.items[0] as string)) return words[0] === 0n;
    if (item.items[0] === "ref.null") return words[0] === 1n;
    const value = this.#constants.get(item);
    return value !== null && value !== undefined && matches(value, words);
  }
}

/** The constants among a command's operands and expected results. */
function constantsOf(command: Expression): Expression[] {
  if (command.items[0] === "module") return [];
  return command.items.flatMap((item) => {
    if (typeof item === "string") return [];
    if (/\.const$|^ref\./.test(String(item.items[0]))) return [item];
    return constantsOf(item);
  });
}
