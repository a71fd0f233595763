// Routes each request to probes, preflights, Connect and gRPC-Web, or REST.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { DescMethod } from "@bufbuild/protobuf";
import type { Clock } from "@muster/core";
import { AppError } from "@muster/errors";
import type { ConnectHandler } from "@muster/rpc";
import { REQUEST_ID, SERVICE_TOKEN } from "@muster/rpc";
import { type RestResponse, renderError, type Transcoder } from "@muster/transcoder";
import type { AccessLog } from "./access-log.ts";
import type { Cors, CorsRequest } from "./cors.ts";
import { adoptRequestId, headerOf, pathOf, stripInternals, targetOf } from "./incoming.ts";
import type { HttpLimits } from "./limits.ts";
import { type ProbeDeps, respondToProbe } from "./probes.ts";
import { type BodyBudget, readBody } from "./request-body.ts";
import { checkRpcRequest, limitDeadline, type RpcPaths } from "./rpc-paths.ts";

const RPC_ALLOW = "OPTIONS, POST";

export interface RequestHandlerDeps extends ProbeDeps {
  readonly clock: Clock;
  readonly limits: HttpLimits;
  readonly budget: BodyBudget;
  readonly transcoder: Transcoder;
  readonly rpcPaths: RpcPaths;
  readonly connect: ConnectHandler;
  readonly cors: Cors;
  readonly accessLog: AccessLog;
  readonly newRequestId: () => string;
  /** The service token for a request that may act for the demo organization. */
  readonly demoToken: (request: IncomingMessage) => string | undefined;
}

/** A request and its response. */
interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly requestId: string;
  readonly method: string;
  readonly finish: ReturnType<AccessLog["begin"]>;
}

export class RequestHandler {
  readonly #deps: RequestHandlerDeps;

  constructor(deps: RequestHandlerDeps) {
    this.#deps = deps;
  }

  /** Never throws. */
  handle(request: IncomingMessage, response: ServerResponse): void {
    const { headers } = request;
    stripInternals(headers);
    const requestId = adoptRequestId(headers, this.#deps.newRequestId);
    const exchange: Exchange = {
      request,
      response,
      requestId,
      method: request.method ?? "",
      finish: this.#deps.accessLog.begin(),
    };
    response.setHeader(REQUEST_ID, requestId);
    response.setHeader("x-content-type-options", "nosniff");
    response.setHeader("cache-control", "no-store");
    this.#route(exchange).catch((error: unknown) => this.#fail(exchange, error));
  }

  async #route(exchange: Exchange): Promise<void> {
    const { request, method } = exchange;
    const target = targetOf(request, this.#deps.limits);
    const path = pathOf(target);
    if (this.#handleCors(exchange)) return;
    const probe = await respondToProbe(path, method, this.#deps);
    if (probe !== undefined) {
      this.#discardBody(request);
      if ("allow" in probe) throw new MethodNotAllowed(probe.allow);
      this.#send(exchange, probe, path);
      return;
    }
    const rpc = this.#deps.rpcPaths.find(path);
    if (rpc !== undefined) {
      this.#callRpc(exchange, path, rpc);
      return;
    }
    await this.#callRest(exchange, target);
  }

  /** Sets the headers for pages of other origins; true if the request was a preflight. */
  #handleCors(exchange: Exchange): boolean {
    const { headers } = exchange.request;
    const corsRequest: CorsRequest = {
      method: exchange.method,
      origin: headerOf(headers, "origin"),
      requestedMethod: headerOf(headers, "access-control-request-method"),
    };
    const preflight = this.#deps.cors.preflight(corsRequest);
    if (preflight !== undefined) {
      this.#discardBody(exchange.request);
      this.#send(exchange, { status: 204, headers: preflight, body: undefined }, "preflight");
      return true;
    }
    for (const [name, value] of Object.entries(this.#deps.cors.headers(corsRequest) ?? {})) {
      exchange.response.setHeader(name, value);
    }
    return false;
  }

  #callRpc(exchange: Exchange, path: string, rpc: DescMethod): void {
    const { request, response, requestId, method, finish } = exchange;
    if (method === "OPTIONS") {
      this.#discardBody(request);
      this.#send(exchange, { status: 204, headers: { allow: RPC_ALLOW }, body: undefined }, path);
      return;
    }
    if (method !== "POST") throw new MethodNotAllowed(RPC_ALLOW);
    checkRpcRequest(rpc, headerOf(request.headers, "content-type"));
    limitDeadline(rpc, request.headers, this.#deps.limits.deadlineMs);
    const token = this.#deps.demoToken(request);
    // Read again by addHeaders of the Connect handler; a client's own value was removed above.
    if (token !== undefined) request.headers[SERVICE_TOKEN] = token;
    response.once("close", () => finish({ requestId, method, route: path, status: response.statusCode }));
    this.#deps.connect.handle(request, response);
  }

  async #callRest(exchange: Exchange, url: string): Promise<void> {
    const { request, response, requestId, method } = exchange;
    const { limits, transcoder } = this.#deps;
    response.setTimeout(limits.idleTimeoutMs, () => request.socket.destroy());
    const clientLeft = new AbortController();
    response.once("close", () => {
      if (!response.writableFinished) clientLeft.abort(new AppError("CANCELED"));
    });
    const body = await readBody(request, limits, this.#deps.budget);
    try {
      const token = this.#deps.demoToken(request);
      const metadata = new Map([[REQUEST_ID, requestId]]);
      if (token !== undefined) metadata.set(SERVICE_TOKEN, token);
      const rendered = await transcoder.handle(
        { method, url, headers: { get: (name) => headerOf(request.headers, name) }, body: body.bytes },
        {
          requestId,
          signal: clientLeft.signal,
          deadlineOf: (ms) => this.#deadlineOf(exchange, ms),
          metadata,
        },
      );
      this.#send(exchange, rendered, rendered.route?.template);
    } finally {
      body.release();
    }
  }

  /** A method with a longer deadline keeps its connection open for that time. */
  #deadlineOf({ response }: Exchange, methodMs: number | undefined): number {
    const { clock, limits } = this.#deps;
    if (methodMs !== undefined) response.setTimeout(methodMs + limits.idleTimeoutMs);
    return clock.nowMs() + (methodMs ?? limits.deadlineMs);
  }

  #fail(exchange: Exchange, error: unknown): void {
    const failure = error instanceof AppError ? error : new AppError("INTERNAL", { cause: error });
    this.#discardBody(exchange.request);
    const headers = error instanceof MethodNotAllowed ? { allow: error.allow } : {};
    const acceptLanguage = headerOf(exchange.request.headers, "accept-language");
    const rendered = renderError(failure, { requestId: exchange.requestId, acceptLanguage, headers });
    this.#send(exchange, { ...rendered, error: failure }, undefined);
  }

  #send(
    { request, response, requestId, method, finish }: Exchange,
    rendered: Pick<RestResponse, "status" | "headers" | "body" | "error">,
    route: string | undefined,
  ): void {
    const { status, headers, body, error } = rendered;
    finish({ requestId, method, route, status, error });
    if (response.headersSent || response.destroyed) {
      request.socket.destroy();
      return;
    }
    for (const [name, value] of Object.entries(headers)) {
      // A response that already varies by another header keeps both values.
      if (name === "vary") response.appendHeader(name, value);
      else response.setHeader(name, value);
    }
    if (body !== undefined) response.setHeader("content-length", Buffer.byteLength(body));
    response.writeHead(status);
    response.end(method === "HEAD" ? undefined : body);
  }

  /** Reads and discards the rest of the body, within limits. */
  #discardBody(request: IncomingMessage): void {
    if (request.complete || request.listenerCount("data") > 0) return;
    let bytes = 0;
    request.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > this.#deps.limits.discardBytesMax) request.destroy();
    });
    request.on("error", () => {});
  }
}

class MethodNotAllowed extends AppError {
  readonly allow: string;

  constructor(allow: string) {
    super("METHOD_NOT_ALLOWED");
    this.allow = allow;
  }
}
