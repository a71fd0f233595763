// Writes responses within a budget of bytes that clients have not taken yet, and drops clients that take
// nothing.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "@muster/core";
import { AppError } from "@muster/errors";
import { type OpenCall, OutputGuard } from "@muster/rpc";
import { type ByteBudget, overloaded } from "./byte-budget.ts";
import type { HttpLimits } from "./limits.ts";
import { awaitsContinue } from "./request-body.ts";
import { piecesOf, writePieces } from "./responses/streamed-body.ts";

export interface WholeResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array | undefined;
  /** The error behind a 4xx or 5xx, for the log. */
  readonly error?: AppError | undefined;
}

export interface WriteTarget {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Whose share of the budget the response takes. */
  readonly owner: string;
}

interface StreamTarget extends Pick<WriteTarget, "request" | "response"> {
  readonly call: OpenCall;
}

/** Responses up to this size are always sent. */
const SMALL_BYTES_MAX = 64 * 1024;
/** A constant reason saves a DOMException for each response. */
const CLOSED = "closed";

export class ResponseWriter {
  readonly #limits: HttpLimits;
  readonly #budget: ByteBudget;
  readonly #clock: Clock;

  constructor(deps: { readonly limits: HttpLimits; readonly budget: ByteBudget; readonly clock: Clock }) {
    this.#limits = deps.limits;
    this.#budget = deps.budget;
    this.#clock = deps.clock;
  }

  /** Throws OVERLOADED while the owner, or all clients together, have taken too little of their responses. */
  assertRoom(owner: string): void {
    if (!this.#budget.hasRoom(owner, 1)) throw overloaded();
  }

  /** Whether the body of a read may be sent. A response that reports an effect is always sent. */
  hasRoomFor(owner: string, body: WholeResponse["body"]): boolean {
    const bytes = lengthOf(body);
    return bytes <= SMALL_BYTES_MAX || this.#budget.hasRoom(owner, bytes);
  }

  write({ request, response, owner }: WriteTarget, { status, headers, body }: WholeResponse): void {
    if (!this.#start(request, response, status, headers, body)) return;
    const bytes = lengthOf(body);
    this.#budget.add(owner, bytes);
    response.once("close", () => this.#budget.free(owner, bytes));
    this.#dropIdle(request, response);
    if (bytes > SMALL_BYTES_MAX) this.#dropAfter(this.#limits.responseTimeoutMs, request, response);
    response.end(request.method === "HEAD" ? undefined : body);
  }

  /** Whether a streamed body may begin: it takes as much of the budget as may wait for its client. */
  hasRoomForStream(owner: string): boolean {
    return this.#budget.hasRoom(owner, this.#limits.streams.unreadBytesMax);
  }

  /**
   * Resolves once the body has ended, or with the error that cut it. A body that is cut ends with a reset connection, so
   * that no client takes it for whole.
   */
  async writeBody(
    target: WriteTarget & StreamTarget,
    { status, headers }: Pick<WholeResponse, "status" | "headers">,
    pieces: AsyncIterableIterator<Uint8Array>,
  ): Promise<AppError | undefined> {
    const { request, response, call, owner } = target;
    if (!this.#start(request, response, status, headers, undefined)) {
      await pieces.return?.();
      return new AppError("CANCELED");
    }
    response.flushHeaders();
    const waiting = this.#limits.streams.unreadBytesMax;
    this.#budget.add(owner, waiting);
    const output = this.#guard(request, response, call);
    response.once("close", () => {
      this.#budget.free(owner, waiting);
      output.close();
    });
    try {
      await writePieces(response, piecesOf(pieces, headers["content-length"]), output);
      return undefined;
    } catch (error) {
      const hasLeft = response.destroyed;
      request.socket.resetAndDestroy();
      if (hasLeft) return new AppError("CANCELED");
      return error instanceof AppError ? error : new AppError("INTERNAL", { cause: error });
    }
  }

  /** Resolves once the frames have ended or the client has left. The frames never reject. */
  async writeFrames(
    { request, response, call }: StreamTarget,
    head: Pick<WholeResponse, "status" | "headers">,
    frames: AsyncIterable<Uint8Array>,
  ): Promise<void> {
    const isStarted = this.#start(request, response, head.status, head.headers, undefined);
    const output = this.#guard(request, response, call);
    response.once("close", () => output.close());
    for await (const frame of frames) {
      if (!isStarted || response.destroyed) return;
      response.write(frame, output.add(frame.byteLength));
      if (output.isFull) await output.room();
    }
    if (!response.destroyed) response.end();
  }

  /** Ends a stream that its client does not read: first the call, then the connection. */
  #guard(request: IncomingMessage, response: ServerResponse, call: OpenCall): OutputGuard {
    return new OutputGuard({
      clock: this.#clock,
      limits: this.#limits.streams,
      onStall: (error) => {
        call.abort(error);
        // The last frame carries the error, if the client reads again soon.
        this.#dropAfter(this.#limits.stalledTimeoutMs, request, response);
      },
    });
  }

  /** Sends status and headers; false if the client has left or a response was begun. */
  #start(
    request: IncomingMessage,
    response: ServerResponse,
    status: number,
    headers: WholeResponse["headers"],
    body: WholeResponse["body"],
  ): boolean {
    if (response.headersSent || response.destroyed) {
      request.socket.destroy();
      return false;
    }
    for (const [name, value] of Object.entries(headers)) {
      // A response that already varies by another header keeps both values.
      if (name === "vary") response.appendHeader(name, value);
      else response.setHeader(name, value);
    }
    // A client that still waits for a 100 may send its body or its next request: nobody can know which.
    if (!request.complete && awaitsContinue(request)) response.setHeader("connection", "close");
    if (body !== undefined) response.setHeader("content-length", lengthOf(body));
    response.writeHead(status);
    return true;
  }

  #dropIdle(request: IncomingMessage, response: ServerResponse): void {
    response.setTimeout(this.#limits.idleTimeoutMs, () => request.socket.destroy());
  }

  #dropAfter(ms: number, request: IncomingMessage, response: ServerResponse): void {
    const closed = new AbortController();
    response.once("close", () => closed.abort(CLOSED));
    void this.#clock.sleep(ms, closed.signal).then(() => {
      if (!closed.signal.aborted) request.socket.destroy();
    });
  }
}

function lengthOf(body: WholeResponse["body"]): number {
  return body === undefined ? 0 : Buffer.byteLength(body);
}
