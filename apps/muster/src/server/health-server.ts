// Serves probes and metrics of a process over HTTP/1.1, apart from the gateway.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Metrics } from "@muster/metrics";
import type { Listener, Readiness } from "@muster/runtime";

export interface HealthServer extends Listener {
  readonly port: number;
}

export interface HealthServerOptions {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** Serves /livez and /readyz. */
  readonly readiness?: Readiness | undefined;
  /** Serves /metrics. */
  readonly metrics?: Metrics | undefined;
}

export async function startHealthServer(options: HealthServerOptions): Promise<HealthServer> {
  const server = createServer((request, response) => {
    respondTo(request, options).then(
      (health) => respond(response, health),
      () => respond(response, { ...PLAIN, status: 500, text: "failed\n" }),
    );
  });
  // A probe is one short request; nothing here waits for a slow client.
  server.requestTimeout = 5_000;
  server.headersTimeout = 5_000;
  await listen(server, options.port, options.host);
  const address = server.address();
  return {
    name: options.name,
    port: typeof address === "object" && address !== null ? address.port : options.port,
    notServing: () => {},
    stop: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

interface HealthResponse {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

const PLAIN = { type: "text/plain; charset=utf-8" };
const NOT_FOUND: HealthResponse = { ...PLAIN, status: 404, text: "not found\n" };

async function respondTo(
  request: IncomingMessage,
  { readiness, metrics }: HealthServerOptions,
): Promise<HealthResponse> {
  if (request.method !== "GET" && request.method !== "HEAD") {
    return { ...PLAIN, status: 405, text: "GET only\n" };
  }
  const path = request.url?.split("?")[0];
  if (path === "/metrics") {
    if (metrics === undefined) return NOT_FOUND;
    return { status: 200, type: metrics.registry.contentType, text: await metrics.text() };
  }
  if (readiness === undefined) return NOT_FOUND;
  if (path === "/livez") return { ...PLAIN, status: 200, text: "live\n" };
  if (path !== "/readyz") return NOT_FOUND;
  const { isReady, reason } = await readiness.check();
  return { ...PLAIN, status: isReady ? 200 : 503, text: `${reason}\n` };
}

function respond(response: ServerResponse, { status, type, text }: HealthResponse): void {
  const headers = { "content-type": type, "content-length": Buffer.byteLength(text) };
  response.writeHead(status, status === 503 ? { ...headers, "retry-after": "1" } : headers);
  response.end(response.req.method === "HEAD" ? undefined : text);
}
