// Runs the HTTP/1.1 server with its limits, timeouts and protocol errors. The handler interprets requests.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type Clock, withTimeout } from "@muster/core";
import { AppError } from "@muster/errors";
import { type ClientError, clientErrorOf, rawResponse } from "./client-errors.ts";
import type { HttpLimits } from "./limits.ts";
import { RequestQueue } from "./request-queue.ts";

/** Time in which clients of requests that were ended receive their responses. */
const CUT_MS = 500;

export interface HttpServerOptions {
  readonly host: string;
  /** 0 selects a free port. */
  readonly port: number;
  readonly limits: HttpLimits;
  readonly clock: Clock;
  readonly newRequestId: () => string;
  /** Responds to every well-formed request, one at a time for each connection; never throws. */
  readonly handle: (request: IncomingMessage, response: ServerResponse) => void;
  readonly onClientError: (error: ClientError, requestId: string) => void;
}

export class HttpServer {
  readonly #options: HttpServerOptions;
  readonly #server: Server;
  readonly #queue: RequestQueue;
  #isDraining = false;

  constructor(options: HttpServerOptions) {
    this.#options = options;
    const { limits } = options;
    this.#queue = new RequestQueue(limits.waitingRequestsMax);
    this.#server = createServer({
      maxHeaderSize: limits.headerBytesMax,
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      connectionsCheckingInterval: limits.timeoutCheckMs,
      // Node's own response to a missing Host has no body; the gateway's response has the error envelope.
      requireHostHeader: false,
      noDelay: true,
    });
    this.#server.on("request", (request, response) => this.#accept(request, response));
    // The handler sends the 100 once the caller is admitted.
    this.#server.on("checkContinue", (request, response) => this.#accept(request, response));
    this.#server.on("checkExpectation", (request, response) => this.#accept(request, response));
    this.#server.on("clientError", (error: NodeJS.ErrnoException, socket) =>
      this.#refuse(error.code, socket),
    );
    this.#server.on("connect", (_request, socket) => {
      const error = new AppError("METHOD_NOT_ALLOWED");
      this.#end({ error, status: error.row.http }, socket);
    });
  }

  start(): Promise<number> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, host, () => {
        this.#server.off("error", reject);
        const address = this.#server.address();
        resolve(typeof address === "object" && address !== null ? address.port : port);
      });
    });
  }

  /** Later responses close their connections, so that clients reconnect elsewhere. */
  startDraining(): void {
    this.#isDraining = true;
  }

  /**
   * Accepts no new requests and lets requests in flight end. After the timeout `endAll` ends the others, which have
   * a moment to respond before their connections are cut.
   */
  async stop(timeoutMs: number, endAll: () => void): Promise<void> {
    this.startDraining();
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    const { clock } = this.#options;
    await withTimeout(clock, timeoutMs, closed, endAll);
    await withTimeout(clock, Math.min(timeoutMs, CUT_MS), closed, () => {});
    this.#server.closeAllConnections();
    await closed;
  }

  #accept(request: IncomingMessage, response: ServerResponse): void {
    // Without a listener, an error of the connection would end the process.
    response.on("error", () => {});
    this.#queue.add(request, response, () => {
      if (this.#isDraining) response.setHeader("connection", "close");
      // A response that began before the drain keeps its connection open.
      response.once("finish", () => {
        if (this.#isDraining) request.socket.destroySoon();
      });
      this.#options.handle(request, response);
    });
  }

  #refuse(code: string | undefined, socket: Duplex): void {
    if (code === "ECONNRESET" || !socket.writable) {
      socket.destroy();
      return;
    }
    this.#end(clientErrorOf(code), socket);
  }

  #end(error: ClientError, socket: Duplex): void {
    const current = this.#queue.currentOf(socket);
    if (current !== undefined && !current.writableEnded) {
      if (current.headersSent) {
        socket.destroy();
        return;
      }
      // The error is about a later request; the response to this one comes first.
      if (current.req.complete) {
        current.setHeader("connection", "close");
        return;
      }
    }
    const requestId = this.#options.newRequestId();
    this.#options.onClientError(error, requestId);
    socket.on("error", () => {});
    socket.end(rawResponse(error, requestId), () => (socket as Socket).destroySoon?.());
  }
}
