/** Function names of a module, for backtraces. */
import { type DecodedModule, decodeModule } from "./decode.ts";
import { InvalidModule, Reader } from "./reader.ts";

/** Function names of the `name` custom section by function index; damaged sections give what could be read. */
export function functionNames(module: Uint8Array): Map<number, string> {
  return namesAndImports(module).names;
}

/** The same, with the names under which functions are imported, in the order of their indices. */
export function namesAndImports(module: Uint8Array): {
  readonly names: Map<number, string>;
  readonly imports: readonly string[];
} {
  const names = new Map<number, string>();
  let imports: readonly string[] = [];
  try {
    const decoded = decodeModule(module);
    imports = decoded.importedFunctions.map(({ name }) => name);
    readNames(module, decoded, names);
  } catch (error) {
    if (!(error instanceof InvalidModule)) throw error;
  }
  return { names, imports };
}

function readNames(module: Uint8Array, decoded: DecodedModule, names: Map<number, string>): void {
  const section = decoded.customSections.find((s) => s.name === "name");
  if (section === undefined) return;
  const r = new Reader(module, section.start, section.end);
  while (r.at < r.end) {
    const id = r.u8();
    const end = r.u32() + r.at;
    if (id === 1) for (let n = r.count("names"); n > 0; n--) names.set(r.u32(), r.name());
    r.at = end;
  }
}
