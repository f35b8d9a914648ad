/** Where this installation keeps the executables that stand in for other tools' own: `bin` of the repository, or of the package. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";

/** Directories above a source file or a bundle before `bin` must have come. */
const LEVELS_MAX = 6;

/** Absolute path of the executable, or null when this installation has none of that name. */
export function toolPath(name: string, from: string = import.meta.dirname): string | null {
  let directory = from;
  for (let level = 0; level < LEVELS_MAX; level++) {
    const found = [join(directory, "bin", name), join(directory, "bin", `${name}.js`)].find(existsSync);
    if (found !== undefined) return found;
    directory = dirname(directory);
  }
  return null;
}
