/** The URL of a request as canisters certify it: the path with percent signs decoded, the query as it is. */
import { utf8, utf8Decode } from "@orrery/base";

/** Characters that a path may hold besides those that are percent-encoded, as the parser of public gateways has it. */
const PATH = /^[!-"$-;=@-_a-~\x80-\uffff]*$/;
const QUERY = /^[!$-;=?-~\x80-\uffff]*$/;
const PERCENT = 0x25;

function hexDigit(code: number | undefined): number {
  if (code === undefined) return -1;
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

/** Text with percent-encoded bytes decoded; what is no escape stays. Null when the result is not UTF-8. */
function decodePercent(text: string): string | null {
  if (!text.includes("%")) return text;
  const bytes = utf8(text);
  const out: number[] = [];
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] as number;
    const high = byte === PERCENT ? hexDigit(bytes[i + 1]) : -1;
    const low = high < 0 ? -1 : hexDigit(bytes[i + 2]);
    if (low < 0) {
      out.push(byte);
      continue;
    }
    out.push(high * 16 + low);
    i += 2;
  }
  return utf8Decode(Uint8Array.from(out));
}

/** Null when the URL is no path with an optional query. */
export function splitUrl(url: string): { readonly path: string; readonly query: string | null } | null {
  const hash = url.indexOf("#");
  const whole = hash < 0 ? url : url.slice(0, hash);
  const mark = whole.indexOf("?");
  const path = mark < 0 ? whole : whole.slice(0, mark);
  const query = mark < 0 ? null : whole.slice(mark + 1);
  if (!path.startsWith("/") || !PATH.test(path)) return null;
  if (query !== null && !QUERY.test(query)) return null;
  const decoded = decodePercent(path);
  return decoded === null ? null : { path: decoded, query };
}
