/** Function names of a module, for backtraces. */
import { decodeModule } from "./decode.ts";
import { InvalidModule, Reader } from "./reader.ts";

/** Function names of the `name` custom section by function index; damaged sections give what could be read. */
export function functionNames(module: Uint8Array): Map<number, string> {
  const names = new Map<number, string>();
  try {
    const section = decodeModule(module).customSections.find((s) => s.name === "name");
    if (section === undefined) return names;
    const r = new Reader(module, section.start, section.end);
    while (r.at < r.end) {
      const id = r.u8();
      const end = r.u32() + r.at;
      if (id === 1) for (let n = r.count("names"); n > 0; n--) names.set(r.u32(), r.name());
      r.at = end;
    }
  } catch (error) {
    if (!(error instanceof InvalidModule)) throw error;
  }
  return names;
}
