// Forwards requests of a client to an installation, and can drop a response after the request has taken
// effect, as networks do.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";

export interface ProxyOptions {
  /** Forwards requests without their credentials. */
  readonly dropsCredentials?: boolean;
}

export interface CuttingProxy {
  readonly url: string;
  /** Number of forwarded requests, including requests whose response was dropped. */
  readonly passed: number;
  /** For the next `count` responses, the client's connection ends without a response. */
  loseResponses(count: number): void;
  stop(): Promise<void>;
}

export async function startCuttingProxy(target: string, options: ProxyOptions = {}): Promise<CuttingProxy> {
  let passed = 0;
  let toLose = 0;
  const pass = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const upstream = await fetch(target + (request.url ?? "/"), {
      method: request.method ?? "GET",
      headers: headersOf(request, options),
      body: Buffer.concat(chunks),
    });
    const text = await upstream.text();
    passed += 1;
    if (toLose > 0) {
      toLose -= 1;
      request.socket.destroy();
      return;
    }
    response.writeHead(upstream.status, { "content-type": upstream.headers.get("content-type") ?? "" });
    response.end(text);
  };
  const server = createServer((request, response) => {
    pass(request, response).catch(() => request.socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    get passed() {
      return passed;
    },
    loseResponses: (count) => {
      toLose = count;
    },
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Headers of the request itself; the other headers belong to a connection. */
function headersOf({ headers }: IncomingMessage, { dropsCredentials }: ProxyOptions): Record<string, string> {
  const forwarded = [
    "content-type",
    "content-encoding",
    "user-agent",
    ...(dropsCredentials ? [] : ["authorization"]),
  ];
  return Object.fromEntries(
    forwarded.flatMap((name) => {
      const value = headers[name];
      return typeof value === "string" ? [[name, value]] : [];
    }),
  );
}
