/** Values as the JSON documents of commands have them: keys in snake_case, integers beyond 2^53 possible and therefore texts. */

export function plain<T extends object>(value: T): Readonly<Record<string, unknown>> {
  return convert(value) as Readonly<Record<string, unknown>>;
}

function convert(value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (Array.isArray(value)) return value.map(convert);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => [
      key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      convert(one),
    ]),
  );
}
