// Serves a test module over Connect and gRPC-Web on node:http, as plainly as possible. The gateway does the same
// with its limits.
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import {
  type ConnectHandler,
  canonicalAddress,
  clientMetadata,
  createConnectHandler,
  SERVICE_TOKEN,
  userAgentOf,
} from "../src/index.ts";
import { type TestModule, tokensOf } from "./test-module.ts";

export interface ConnectServer {
  readonly port: number;
  close(): Promise<void>;
}

export async function startConnectServer({ dispatcher, admission }: TestModule): Promise<ConnectServer> {
  const services = dispatcher.implementations.map(({ service }) => service);
  const handler = createConnectHandler({ services, caller: dispatcher, admission });
  const server = createServer((request, response) => void respond(handler, request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    port: address.port,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function respond(handler: ConnectHandler, request: IncomingMessage, response: ServerResponse) {
  const left = new AbortController();
  const closed = once(response, "close");
  response.once("close", () => left.abort("the caller is gone"));
  const address = canonicalAddress(request.socket.remoteAddress);
  const userAgent = userAgentOf(request.headers["user-agent"]);
  const { status, headers, body } = await handler.handle({
    path: request.url ?? "",
    verb: request.method ?? "",
    header: (name) => request.headers[name]?.toString(),
    metadata: new Map([
      ["x-request-id", request.headers["x-request-id"]?.toString() ?? "none"],
      [SERVICE_TOKEN, tokensOf("gateway").mint()],
      ...clientMetadata({ address, userAgent }),
    ]),
    signal: left.signal,
    readBody: async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      return { bytes: Buffer.concat(chunks), release: () => {} };
    },
  });
  response.writeHead(status, headers);
  if (body instanceof Uint8Array) {
    response.end(body);
    return;
  }
  for await (const frame of body) {
    if (response.destroyed) return;
    if (response.write(frame)) continue;
    await Promise.race([once(response, "drain"), closed]);
  }
  response.end();
}
