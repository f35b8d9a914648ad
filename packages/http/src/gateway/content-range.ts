/** The `Content-Range` header of a partial response (RFC 9110, section 14.4): `bytes first-last/total`, all three known. */
import { err, ok, type Result } from "@orrery/base";

export interface ContentRange {
  readonly first: number;
  /** Inclusive. */
  readonly last: number;
  readonly total: number;
}

const CONTENT_RANGE = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/;

export function parseContentRange(header: string | undefined): Result<ContentRange, string> {
  if (header === undefined) return err("a partial response has no Content-Range header");
  const match = CONTENT_RANGE.exec(header.trim());
  if (match === null) {
    return err(`Content-Range is "${header.slice(0, 100)}", expected "bytes FIRST-LAST/TOTAL"`);
  }
  const [first, last, total] = match.slice(1).map(Number) as [number, number, number];
  return first <= last && last < total
    ? ok({ first, last, total })
    : err(`Content-Range "${header}" contradicts itself`);
}
