// Reaches the same dispatcher through each of Muster's mounts.
import type { DescMethod, DescMethodStreaming, DescMethodUnary, Message } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { createLogger } from "@muster/log";
import {
  type Caller,
  type CallOptions,
  fromConnectError,
  grpcCaller,
  startGrpcServer,
} from "../src/index.ts";
import { startConnectServer } from "./connect-server.ts";
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

  Connect: (module) => connectMount(module, createConnectTransport),

  "gRPC-Web": (module) => connectMount(module, createGrpcWebTransport),
};

/** Mounts that serve streams of requests, unlike the mounts over HTTP/1.1. */
export const duplexMounts: readonly string[] = ["direct", "grpc-js"];

async function connectMount(
  module: TestModule,
  transportTo: (options: { readonly baseUrl: string; readonly httpVersion: "1.1" }) => Transport,
): Promise<Mounted> {
  const { port, close } = await startConnectServer(module);
  const transport = transportTo({ baseUrl: `http://127.0.0.1:${port}`, httpVersion: "1.1" });
  return { caller: transportCaller(transport), close };
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
