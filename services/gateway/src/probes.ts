// The fixed routes: version, probes, metrics.
import type { Metrics } from "@muster/metrics";
import type { RestResponse } from "@muster/transcoder";

export interface ProbeDeps {
  readonly readiness: () => Promise<{ readonly isReady: boolean; readonly reason: string }>;
  /** Undefined where another port serves /metrics. */
  readonly metrics: Metrics | undefined;
}

const PLAIN = "text/plain; charset=utf-8";
const ALLOW = "GET, HEAD, OPTIONS";

type ProbeResponse = Pick<RestResponse, "status" | "headers" | "body">;

/** Undefined for any other path. "method_not_allowed" carries its Allow header. */
export async function respondToProbe(
  path: string,
  method: string,
  deps: ProbeDeps,
): Promise<ProbeResponse | { readonly allow: string } | undefined> {
  const route = routes[path];
  if (route === undefined || (path === "/metrics" && deps.metrics === undefined)) return undefined;
  if (method === "OPTIONS") return { status: 204, headers: { allow: ALLOW }, body: undefined };
  if (method !== "GET" && method !== "HEAD") return { allow: ALLOW };
  return route(deps);
}

const text = (status: number, body: string): ProbeResponse => ({
  status,
  headers: { "content-type": PLAIN },
  body,
});

const routes: Readonly<Record<string, (deps: ProbeDeps) => Promise<ProbeResponse>>> = {
  "/version": async () => text(200, "v1"),
  "/livez": async () => text(200, "live\n"),
  "/readyz": async ({ readiness }) => {
    const { isReady, reason } = await readiness();
    const response = text(isReady ? 200 : 503, `${reason}\n`);
    return isReady ? response : { ...response, headers: { ...response.headers, "retry-after": "1" } };
  },
  "/metrics": async ({ metrics }) => ({
    status: 200,
    headers: { "content-type": metrics?.registry.contentType ?? PLAIN },
    body: (await metrics?.text()) ?? "",
  }),
};
