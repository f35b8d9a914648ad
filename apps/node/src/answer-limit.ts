/**
 * No request of the interface waits for ever: what a node did not answer in time, whatever holds it up, is answered so, and the client may ask
 * again. Updates wait for ten seconds at most, and queries end by their instructions; administration may take longer and has no limit here.
 */
import type { HttpServerRequest, HttpServerResponse } from "@orrery/host";

/** Far more than the longest query takes. */
const ANSWER_MS_MAX = 60_000;
const LATE: HttpServerResponse = {
  status: 503,
  headers: { "content-type": "text/plain; charset=utf-8", "access-control-allow-origin": "*" },
  body: "The node did not answer in time; ask again.",
};

/** The answer, or that there was none within `limitMs`. */
export async function inTime(
  { url }: Pick<HttpServerRequest, "url">,
  answer: Promise<HttpServerResponse>,
  limitMs: number = ANSWER_MS_MAX,
): Promise<HttpServerResponse> {
  if (!url.startsWith("/api/")) return await answer;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<HttpServerResponse>((resolve) => {
    timer = setTimeout(resolve, limitMs, LATE);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
