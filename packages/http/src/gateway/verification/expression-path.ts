/**
 * Expression paths (HTTP gateway protocol, "Expression Path"): a response counts for a request only when its path in the tree fits
 * the request's and the tree proves that it has no more specific one. Parts of the tree that are pruned may hide one and so refuse.
 */
import { err, ok, type Result, utf8 } from "@orrery/base";
import { type HashTree, lookupSubtree } from "@orrery/crypto";

const PREFIX = "http_expr";
const EXACT = "<$>";
const WILDCARD = "<*>";
/** Segments of a request's path; each is a look-up in the tree. */
export const PATH_SEGMENTS_MAX = 512;

type Path = readonly string[];

function kindOf(tree: HashTree, path: Path): "found" | "absent" | "hidden" {
  const { kind } = lookupSubtree(tree, path.map(utf8));
  return kind === "found" || kind === "absent" ? kind : "hidden";
}

/** Segments of a request's path; one that ends with a slash has an empty last segment. */
function segmentsOf(requestPath: string): Path {
  const segments = requestPath.split("/").filter((segment) => segment !== "");
  return requestPath.endsWith("/") ? [...segments, ""] : segments;
}

function startsWith(path: Path, prefix: Path): boolean {
  return prefix.length <= path.length && prefix.every((segment, at) => path[at] === segment);
}

/** Whether a wildcard covers the path: as its prefix, a slash at the wildcard's end aside. */
function covers(wildcard: Path, path: Path): boolean {
  return startsWith(path, wildcard) || (wildcard.at(-1) === "" && startsWith(path, wildcard.slice(0, -1)));
}

/** The root's lone empty segment stays, one in front of others goes. */
function withoutLeadingSlash(path: Path): Path {
  return path.length > 1 && path[0] === "" ? path.slice(1) : path;
}

/** Wildcards between the request's path and the one that responded, the most specific first: `a/b`, `a/`, `a`, `/` and none. */
function* moreSpecificWildcards(requested: Path, responding: Path): Generator<Path, void, undefined> {
  const path = [...requested];
  // Inside a path of the tree the marks of its end are no segments, so a request's that ends with one is looked for without it.
  if (path.at(-1) === EXACT || path.at(-1) === WILDCARD) path.pop();
  if (path.length > 1 && path[0] === "") path.shift();
  const end = withoutLeadingSlash(responding);
  while (path.length > end.length || path.at(-1) !== end.at(-1)) {
    yield path;
    const last = path.pop();
    if (last === undefined) return;
    if (last !== "") path.push("");
  }
}

const shown = (path: Path): string => JSON.stringify(path);

/** Whether the expression path is right for the request's path, percent-decoded. The error says why not. */
export function checkExpressionPath(path: Path, requestPath: string, tree: HashTree): Result<null, string> {
  const end = path.at(-1);
  if (path[0] !== PREFIX) return err(`the expression path ${shown(path)} does not begin with ${PREFIX}`);
  if (end !== EXACT && end !== WILDCARD)
    return err(`the expression path ${shown(path)} ends neither with ${EXACT} nor with ${WILDCARD}`);
  const requested = segmentsOf(requestPath);
  if (requested.length > PATH_SEGMENTS_MAX)
    return err(`the request's path has more than ${PATH_SEGMENTS_MAX} segments`);
  const exact = [PREFIX, ...requested, EXACT];
  if (path.length === exact.length && startsWith(path, exact)) {
    return kindOf(tree, path) === "found" ? ok(null) : err(`the tree has no ${shown(path)}`);
  }
  if (end === EXACT)
    return err(`the expression path ${shown(path)} is not that of the request, ${shown(exact)}`);
  if (kindOf(tree, exact) !== "absent")
    return err(`the tree may have the more specific ${shown(exact)} beside ${shown(path)}`);
  const responding = path.slice(1, -1);
  if (!covers(responding, requested))
    return err(`the expression path ${shown(path)} does not cover ${requestPath}`);
  for (const wildcard of moreSpecificWildcards(requested, responding)) {
    const specific = [PREFIX, ...wildcard, WILDCARD];
    if (kindOf(tree, specific) !== "absent")
      return err(`the tree may have the more specific ${shown(specific)} beside ${shown(path)}`);
  }
  return kindOf(tree, path) === "found" ? ok(null) : err(`the tree has no ${shown(path)}`);
}
