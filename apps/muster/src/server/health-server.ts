// /livez, /readyz and /metrics of a process without a gateway. HTTP/1.1, for probes and scrapers.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Metrics } from "@muster/metrics";
import type { Listener, Readiness } from "@muster/runtime";

export interface HealthServer extends Listener {
  readonly port: number;
}

export async function startHealthServer(options: {
  readonly host: string;
  readonly port: number;
  readonly readiness: Readiness;
  readonly metrics: Metrics;
}): Promise<HealthServer> {
  const server = createServer((request, response) => {
    respondTo(request, options).then(
      ({ status, type, text }) => respond(response, status, type, text),
      () => respond(response, 500, "text/plain; charset=utf-8", "failed\n"),
    );
  });
  // A probe is one short request; nothing here waits for a slow client.
  server.requestTimeout = 5_000;
  server.headersTimeout = 5_000;
  await listen(server, options.port, options.host);
  const address = server.address();
  return {
    name: "health",
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

async function respondTo(
  request: IncomingMessage,
  { readiness, metrics }: { readonly readiness: Readiness; readonly metrics: Metrics },
): Promise<HealthResponse> {
  const plain = { type: "text/plain; charset=utf-8" };
  if (request.method !== "GET" && request.method !== "HEAD") {
    return { ...plain, status: 405, text: "GET only\n" };
  }
  switch (request.url?.split("?")[0]) {
    case "/livez":
      return { ...plain, status: 200, text: "live\n" };
    case "/readyz": {
      const { isReady, reason } = await readiness.check();
      return { ...plain, status: isReady ? 200 : 503, text: `${reason}\n` };
    }
    case "/metrics":
      return { status: 200, type: metrics.registry.contentType, text: await metrics.text() };
    default:
      return { ...plain, status: 404, text: "not found\n" };
  }
}

function respond(response: ServerResponse, status: number, type: string, text: string): void {
  response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(text) });
  response.end(response.req.method === "HEAD" ? undefined : text);
}
