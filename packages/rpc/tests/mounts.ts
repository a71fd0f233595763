// Reaches the same dispatcher through each of Muster's mounts.
import { createServer as createHttpServer, type Server as HttpServer } from "node:http";
import { createServer as createHttp2Server, type Http2Server } from "node:http2";
import type { Socket } from "node:net";
import type { DescMethod, DescMethodStreaming, DescMethodUnary, Message } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { createLogger } from "@muster/log";
import {
  type Caller,
  type CallOptions,
  createConnectHandler,
  fromConnectError,
  grpcCaller,
  startGrpcServer,
} from "../src/index.ts";
import type { TestModule } from "./test-module.ts";

export interface Mounted {
  readonly caller: Caller;
  close(): Promise<void>;
}

export type Mount = (module: TestModule) => Promise<Mounted>;

export const silent = createLogger({ level: "silent" });

export const mounts: Readonly<Record<string, Mount>> = {
  async direct({ dispatcher }) {
    return { caller: dispatcher, close: async () => {} };
  },

  async "grpc-js"({ dispatcher }) {
    const server = await startGrpcServer({
      dispatchers: [dispatcher],
      host: "127.0.0.1",
      port: 0,
      log: silent,
    });
    const caller = grpcCaller({ address: server.address });
    return {
      caller,
      async close() {
        caller.close();
        await server.stop(0);
      },
    };
  },

  "Connect on connect-node": (module) =>
    connectMount(module, (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "2" })),

  "gRPC on connect-node": (module) => connectMount(module, (baseUrl) => createGrpcTransport({ baseUrl })),
};

/** The mounts above, and the mounts of the gateway's port, which serve no streams of requests. */
export const serverStreamMounts: Readonly<Record<string, Mount>> = {
  ...mounts,

  "Connect over HTTP/1.1": (module) =>
    connectMount(module, (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1" }), "1.1"),

  "gRPC-Web over HTTP/1.1": (module) =>
    connectMount(module, (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }), "1.1"),
};

async function connectMount(
  { dispatcher }: TestModule,
  transportTo: (baseUrl: string) => Transport,
  httpVersion: "1.1" | "2" = "2",
): Promise<Mounted> {
  const services = dispatcher.implementations.map(({ service }) => service);
  const handler = createConnectHandler({ services, caller: dispatcher, log: silent });
  const server = httpVersion === "2" ? createHttp2Server(handler.handle) : createHttpServer(handler.handle);
  const { port, close } = await listen(server);
  return { caller: transportCaller(transportTo(`http://127.0.0.1:${port}`)), close };
}

interface Listening {
  readonly port: number;
  close(): Promise<void>;
}

async function listen(server: Http2Server | HttpServer): Promise<Listening> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    port: address.port,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A Connect client as a Caller, as a TypeScript client of the gateway would use it. */
function transportCaller(transport: Transport): Caller {
  const timeout = (options: CallOptions): number | undefined =>
    options.deadlineMs === undefined ? undefined : Math.max(1, options.deadlineMs - Date.now());
  return {
    async unary(method, request, options) {
      try {
        const response = await transport.unary(
          method as DescMethodUnary,
          options.signal,
          timeout(options),
          new Headers([...options.headers]),
          request,
        );
        return { message: response.message as Message, headers: new Map(response.header) };
      } catch (error) {
        throw fromConnectError(error);
      }
    },
    stream(method: DescMethod, requests, options) {
      const headers = new Map<string, string>();
      async function* messages(): AsyncIterable<Message> {
        // Connect's streams end early only by their signal.
        const left = new AbortController();
        try {
          const response = await transport.stream(
            method as DescMethodStreaming,
            AbortSignal.any([options.signal, left.signal]),
            timeout(options),
            new Headers([...options.headers]),
            requests,
          );
          for (const [name, value] of response.header) headers.set(name, value);
          for await (const message of response.message) yield message as Message;
        } catch (error) {
          throw fromConnectError(error);
        } finally {
          left.abort();
        }
      }
      return { messages: messages(), headers };
    },
  };
}
