import { IDL, query, StableBTreeMap, trap, update } from "azle";

const NOTES_MAX = 1_000;
const LENGTH_MAX = 200;

/** Notes that visitors leave, the newest first. What it holds is kept over upgrades. */
export default class {
  entries = new StableBTreeMap<bigint, string>(0);

  /** Adds a note; traps when it is too long or there are too many. */
  @update([IDL.Text])
  add(text: string): void {
    if (text.length > LENGTH_MAX) trap("a note has 200 characters at most");
    const count = BigInt(this.entries.len());
    if (count >= NOTES_MAX) trap("there is no room for more notes");
    this.entries.insert(count, text);
  }

  @query([], IDL.Vec(IDL.Text))
  notes(): string[] {
    return this.entries.values().reverse();
  }
}
