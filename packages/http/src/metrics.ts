/** Counters of the HTTPS interface in the Prometheus text format. Labels come from fixed sets, so their number is bounded. */
import type { Operation } from "./router.ts";

export const METRICS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

export interface RequestCounters {
  count(endpoint: string, status: number): void;
  render(): string;
}

export function createRequestCounters(inFlight: () => Readonly<Record<Operation, number>>): RequestCounters {
  const totals = new Map<string, Map<number, number>>();
  return {
    count(endpoint, status) {
      let statuses = totals.get(endpoint);
      if (statuses === undefined) {
        statuses = new Map();
        totals.set(endpoint, statuses);
      }
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    },
    render() {
      const lines = [
        "# HELP orrery_http_requests_total Requests answered, by endpoint and HTTP status.",
        "# TYPE orrery_http_requests_total counter",
      ];
      for (const [endpoint, statuses] of totals) {
        for (const [status, total] of statuses) {
          lines.push(`orrery_http_requests_total{endpoint="${endpoint}",status="${status}"} ${total}`);
        }
      }
      lines.push(
        "# HELP orrery_http_requests_in_flight Requests being answered, by endpoint.",
        "# TYPE orrery_http_requests_in_flight gauge",
      );
      for (const [endpoint, count] of Object.entries(inFlight())) {
        lines.push(`orrery_http_requests_in_flight{endpoint="${endpoint}"} ${count}`);
      }
      return `${lines.join("\n")}\n`;
    },
  };
}
