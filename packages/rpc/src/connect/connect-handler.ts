// Serves Connect, gRPC-Web and gRPC on a node:http or node:http2 server. Replaces connect-node's own adapter
// for two reasons: its request listener throws on a malformed Host header, which ends the process, and writes
// to the console whenever a client disconnects during a response.
import { createConnectRouter } from "@connectrpc/connect";
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from "@connectrpc/connect-node";
import type { Logger } from "@muster/log";
import { type ConnectRoutesOptions, connectLimits, connectRoutes } from "./connect-routes.ts";

export interface ConnectHandlerOptions extends ConnectRoutesOptions {
  readonly log: Logger;
}

type NodeRequest = Parameters<typeof universalRequestFromNodeRequest>[0];
type NodeResponse = Parameters<typeof universalResponseToNodeResponse>[1];

export interface ConnectHandler {
  /** Whether the URL (path and query) belongs to a method of the services. */
  handles(url: string): boolean;
  /** Responds to the request; never throws. */
  handle(request: NodeRequest, response: NodeResponse): void;
}

export function createConnectHandler(options: ConnectHandlerOptions): ConnectHandler {
  const router = createConnectRouter(connectLimits);
  connectRoutes(options)(router);
  const methods = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
  return {
    handles: (url) => methods.has(pathOf(url)),
    handle(request, response) {
      const method = methods.get(pathOf(request.url ?? ""));
      if (method === undefined) return end(response, 404);
      let universal: ReturnType<typeof universalRequestFromNodeRequest>;
      try {
        universal = universalRequestFromNodeRequest(request, response, undefined, undefined);
      } catch {
        return end(response, 400);
      }
      method(universal)
        .then((universalResponse) => universalResponseToNodeResponse(universalResponse, response))
        .catch((error: unknown) => {
          options.log.debug({ method: method.requestPath, err: error }, "response not delivered");
          response.destroy();
        });
    },
  };
}

function pathOf(url: string): string {
  return url.split("?", 1)[0] ?? "";
}

function end(response: NodeResponse, status: number): void {
  response.writeHead(status);
  response.end();
}
