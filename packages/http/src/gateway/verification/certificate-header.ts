/**
 * The `IC-Certificate` header (HTTP gateway protocol, "The Certificate Header"): a certificate, a hash tree, and from version 2 on
 * the version and the expression path. Fields that are unknown or not written as `name=:value:` are passed over and of repeated
 * ones the first counts, as public gateways have it.
 */
import { decodeCbor, err, type OrreryError, ok, type Result, utf8Decode } from "@orrery/base";
import { decodeHashTree, type HashTree } from "@orrery/crypto";
import { decodeBase64 } from "./base64.ts";

export interface CertificateHeader {
  /** Encoded. */
  readonly certificate: Uint8Array;
  readonly tree: HashTree;
  /** 1 when the header names none. */
  readonly version: number;
  readonly expressionPath: readonly string[] | null;
}

/** Values in the CBOR of a path or a tree: far more than a header has room for. */
const CBOR_ITEMS_MAX = 50_000;
const FIELD = /^([^=]+)=:?([^:]+):?$/;
const VERSION = /^\+?\d+$/;
const VERSION_MAX = 255;

function fieldsOf(header: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const part of header.split(",")) {
    const match = FIELD.exec(part.trim());
    if (match === null) continue;
    const [, name = "", value = ""] = match;
    if (!fields.has(name)) fields.set(name, value);
  }
  return fields;
}

function stringArray(bytes: Uint8Array): readonly string[] | null {
  const value = decodeCbor(bytes, CBOR_ITEMS_MAX);
  if (!Array.isArray(value)) return null;
  const texts: string[] = [];
  for (const item of value) {
    const text = item instanceof Uint8Array ? utf8Decode(item) : item;
    if (typeof text !== "string") return null;
    texts.push(text);
  }
  return texts;
}

/** Applies `read` to a field's bytes; the error names the field. */
function readField<T>(
  fields: ReadonlyMap<string, string>,
  name: string,
  read: (bytes: Uint8Array) => T | null,
): Result<T | null, string> {
  const text = fields.get(name);
  if (text === undefined) return ok(null);
  const bytes = decodeBase64(text);
  if (bytes === null) return err(`field ${name} of the IC-Certificate header is not Base64`);
  try {
    const value = read(bytes);
    return value === null ? err(`field ${name} of the IC-Certificate header has the wrong form`) : ok(value);
  } catch (cause) {
    // Decoders say with an error of ours what is wrong; anything else is a fault of this program.
    if (typeof (cause as OrreryError).code !== "string") throw cause;
    return err(`field ${name} of the IC-Certificate header: ${(cause as Error).message}`);
  }
}

export function parseCertificateHeader(header: string): Result<CertificateHeader, string> {
  const fields = fieldsOf(header);
  const certificate = readField(fields, "certificate", (bytes) => bytes);
  if (!certificate.ok) return certificate;
  if (certificate.value === null) return err("the IC-Certificate header has no field certificate");
  const tree = readField(fields, "tree", decodeHashTree);
  if (!tree.ok) return tree;
  if (tree.value === null) return err("the IC-Certificate header has no field tree");
  const versionText = fields.get("version") ?? "1";
  const version = VERSION.test(versionText) ? Number(versionText) : Number.NaN;
  if (!(version <= VERSION_MAX)) return err("field version of the IC-Certificate header is not a number");
  const path = readField(fields, "expr_path", stringArray);
  if (!path.ok) return path;
  return ok({
    certificate: certificate.value,
    tree: tree.value,
    version,
    expressionPath: path.value,
  });
}
