/**
 * The gateway's own pages: what failed, and what stands at the root of a host that names no canister. HTML without scripts for
 * those who accept it, else text with the same words.
 */
import { type CanisterId, principalToText } from "@orrery/base";
import type { HttpRequest, HttpResponse } from "../messages.ts";
import type { Failure } from "./failure.ts";

const STYLE =
  ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:4rem auto;padding:0 1rem}" +
  "h1{font-size:1.5rem}code,pre{font:14px/1.5 ui-monospace,monospace}" +
  "pre{white-space:pre-wrap;overflow-wrap:anywhere;padding:.75rem;border:1px solid #8884;border-radius:6px}" +
  "footer{margin-top:2rem;font-size:.875rem;opacity:.7}";

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ESCAPES[character] as string);
}

interface Page {
  readonly title: string;
  readonly paragraphs: readonly string[];
  /** Shown as it is, in a box. */
  readonly quoted: string | null;
  readonly footer: string;
}

function html({ title, paragraphs, quoted, footer }: Page): string {
  const text = paragraphs.map((paragraph) => `<p>${escapeHtml(paragraph)}</p>`).join("");
  const box = quoted === null ? "" : `<pre>${escapeHtml(quoted)}</pre>`;
  return (
    `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${escapeHtml(title)}</title>` +
    `<meta name="viewport" content="width=device-width,initial-scale=1"><style>${STYLE}</style></head>` +
    `<body><h1>${escapeHtml(title)}</h1>${text}${box}<footer>${escapeHtml(footer)}</footer></body></html>\n`
  );
}

function plain({ title, paragraphs, quoted, footer }: Page): string {
  return `${[title, ...paragraphs, ...(quoted === null ? [] : [quoted]), footer].join("\n\n")}\n`;
}

/** The page as the request's `Accept` wants it. It runs and loads nothing. */
function respond(request: HttpRequest, status: number, page: Page): HttpResponse {
  const wantsHtml = request.header("accept")?.toLowerCase().includes("text/html") === true;
  return {
    status,
    headers: {
      "content-type": `text/${wantsHtml ? "html" : "plain"}; charset=utf-8`,
      "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
      "x-content-type-options": "nosniff",
      "cache-control": "no-store",
      vary: "accept",
    },
    body: wantsHtml ? html(page) : plain(page),
  };
}

export function failurePage(
  request: HttpRequest,
  { status, cause, title, text, details }: Failure,
  canisterId: CanisterId | null,
): HttpResponse {
  const about = canisterId === null ? "" : ` · canister ${principalToText(canisterId)}`;
  const response = respond(request, status, {
    title,
    paragraphs: [text],
    quoted: details,
    footer: `${status} ${cause}${about} · Orrery HTTP gateway`,
  });
  return { ...response, headers: { ...response.headers, "x-ic-error-cause": cause } };
}

/** What stands at the root of the gateway's own host. */
export function landingPage(request: HttpRequest): HttpResponse {
  const host = request.header("host") ?? "localhost";
  const port = /:\d+$/.exec(host)?.[0] ?? "";
  return respond(request, 200, {
    title: "A network of the Internet Computer runs here",
    paragraphs: [
      `A canister's web pages are at http://<canister id>.localhost${port}/, or at http://${host}/?canisterId=<canister id>. ` +
        `With .raw before .localhost its responses are not verified.`,
      `Agents and tools use http://${host} as the network's URL; /api/v2/status answers with its root key.`,
    ],
    quoted: null,
    footer: "Orrery HTTP gateway",
  });
}
