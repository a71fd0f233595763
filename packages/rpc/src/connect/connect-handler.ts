// Serves Connect and gRPC-Web over HTTP/1.1, without a socket. Replaces the handlers of connect-es, which read
// and decode a body in one step and refuse in ways that carry no reason; their protocol parts are used.
import { type DescMethod, type DescService, getOption } from "@bufbuild/protobuf";
import type { Principal } from "@muster/authz";
import { Access, policy } from "@muster/contracts/muster/options/v1/options_pb";
import { type Clock, systemClock } from "@muster/core";
import { AppError } from "@muster/errors";
import type { Caller, CallOptions } from "../caller.ts";
import { single } from "../client.ts";
import type { Admission } from "../dispatcher/admission.ts";
import { UNARY_DEADLINE_MS_DEFAULT } from "../dispatcher/deadline.ts";
import { stamped } from "../dispatcher/errors.ts";
import { forwardedHeaders, REQUEST_ID, responseHeaderNames } from "../metadata.ts";
import { isRestOnly } from "../method-plan.ts";
import { type HeaderReader, readMessage, refuseCompression, timeoutOf } from "./connect-request.ts";
import {
  type ConnectResponse,
  endFrame,
  messageFrame,
  type RefusalStatus,
  renderConnectError,
  renderMessage,
} from "./connect-response.ts";
import { contentTypeOf, fits, formatOf, type WireFormat } from "./wire-format.ts";

export interface ConnectHandlerOptions {
  readonly services: readonly DescService[];
  /** A caller for all methods, or a function that returns the caller of a method's service. */
  readonly caller: Caller | ((method: DescMethod) => Caller);
  readonly admission: Admission;
  readonly clock?: Clock;
}

export interface ConnectRequest {
  /** Without the query. */
  readonly path: string;
  /** The HTTP method, in upper case. */
  readonly verb: string;
  readonly header: HeaderReader;
  /** More metadata for the method; overrides the request's headers. Contains the request id. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Aborts when the client disconnects. */
  readonly signal: AbortSignal;
  /** Reads the body. Rejects with AppError. Called only for an admitted caller. */
  readonly readBody: (caller: Principal) => Promise<{ readonly bytes: Uint8Array; release(): void }>;
}

export interface ConnectHandler {
  /** Whether the path has the form of a method's path, of these services or of others. */
  handles(path: string): boolean;
  /** The public method at the path. */
  find(path: string): DescMethod | undefined;
  /** Never rejects; the frames of a stream never reject either. */
  handle(request: ConnectRequest): Promise<ConnectResponse>;
  /** The error in the protocol of the content type. */
  refuse(contentType: string | undefined, error: AppError, requestId: string): ConnectResponse & WholeBody;
}

interface WholeBody {
  readonly body: Uint8Array;
}

const RPC_PATH = /^\/[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+\/[A-Za-z_]\w*$/;

export function createConnectHandler(options: ConnectHandlerOptions): ConnectHandler {
  return new Handler(options);
}

/** A refusal with an HTTP status of its own. */
class Refusal extends AppError {
  readonly http: RefusalStatus;

  constructor(error: AppError, http: RefusalStatus) {
    super(error.reason, { message: error.message });
    this.http = http;
  }
}

class Handler implements ConnectHandler {
  readonly #options: ConnectHandlerOptions;
  readonly #clock: Clock;
  readonly #methods = new Map<string, DescMethod>();

  constructor(options: ConnectHandlerOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    for (const method of options.services.flatMap((service) => service.methods)) {
      if (getOption(method, policy).access === Access.INTERNAL || isRestOnly(method)) continue;
      this.#methods.set(`/${method.parent.typeName}/${method.name}`, method);
    }
  }

  handles(path: string): boolean {
    return RPC_PATH.test(path);
  }

  find(path: string): DescMethod | undefined {
    return this.#methods.get(path);
  }

  refuse(contentType: string | undefined, error: AppError, requestId: string) {
    return { ...renderConnectError(formatOf(contentType), stamped(error, requestId)), error };
  }

  async handle(request: ConnectRequest): Promise<ConnectResponse> {
    const format = formatOf(request.header("content-type"));
    try {
      return await this.#respond(request, format);
    } catch (error) {
      const failure = asAppError(error);
      const requestId = request.metadata.get(REQUEST_ID) ?? "";
      const http = error instanceof Refusal ? error.http : undefined;
      // 405 and 415 are statuses of HTTP, which the frames of a stream cannot express.
      const known = http === undefined || http.status === UNKNOWN_METHOD.status ? format : undefined;
      return { ...renderConnectError(known, stamped(failure, requestId), http), error: failure };
    }
  }

  async #respond(request: ConnectRequest, format: WireFormat | undefined): Promise<ConnectResponse> {
    const method = this.#methods.get(request.path);
    if (method === undefined) {
      throw new Refusal(
        new AppError("UNIMPLEMENTED", { message: "There is no such method." }),
        UNKNOWN_METHOD,
      );
    }
    if (request.verb !== "POST") throw new Refusal(new AppError("METHOD_NOT_ALLOWED"), WRONG_VERB);
    const headers = forwardedHeaders(method, request.header);
    for (const [name, value] of request.metadata) headers.set(name, value);
    const caller = await this.#options.admission.admit(method, headers);
    if (format === undefined || !fits(format, method)) {
      const message = "This path takes Connect and gRPC-Web; gRPC itself has a port of its own.";
      throw new Refusal(new AppError("MEDIA_TYPE_UNSUPPORTED", { message }), WRONG_TYPE);
    }
    if (method.methodKind !== "unary" && method.methodKind !== "server_streaming") {
      throw new AppError("UNIMPLEMENTED", {
        message: "A stream of requests needs HTTP/2: call this method on the gRPC port.",
      });
    }
    refuseCompression(format, request.header);
    const options = {
      headers,
      signal: request.signal,
      deadlineMs: this.#deadlineOf(method, format, request),
    };
    const body = await request.readBody(caller);
    try {
      const message = readMessage(method, format, body.bytes);
      if (method.methodKind === "server_streaming")
        return await this.#stream(method, format, message, options);
      const response = await this.#callerOf(method).unary(method, message, options);
      return renderMessage(format, method.output, response.message, shown(method, response.headers));
    } finally {
      body.release();
    }
  }

  #deadlineOf(method: DescMethod, format: WireFormat, { header }: ConnectRequest): number | undefined {
    const given = timeoutOf(format, header);
    const ownMs = getOption(method, policy).deadlineSeconds * 1000 || UNARY_DEADLINE_MS_DEFAULT;
    const timeoutMs = given ?? (method.methodKind === "unary" ? ownMs : undefined);
    return timeoutMs === undefined ? undefined : this.#clock.nowMs() + timeoutMs;
  }

  /** Waits for the first frame, so that the handler's metadata is known. */
  async #stream(
    method: DescMethod,
    format: WireFormat,
    message: Parameters<Caller["unary"]>[1],
    options: CallOptions,
  ): Promise<ConnectResponse> {
    const response = this.#callerOf(method).stream(method, single(message), options);
    const frames = this.#frames(method, format, response.messages, options);
    const first = await frames.next();
    return {
      status: 200,
      headers: { ...shown(method, response.headers), "content-type": contentTypeOf(format) },
      body: startingWith(first, frames),
    };
  }

  async *#frames(
    method: DescMethod,
    format: WireFormat,
    messages: AsyncIterable<Parameters<Caller["unary"]>[1]>,
    { headers }: CallOptions,
  ): AsyncGenerator<Uint8Array, undefined> {
    try {
      for await (const message of messages) yield messageFrame(format, method.output, message);
      yield endFrame(format, undefined);
    } catch (error) {
      yield endFrame(format, stamped(asAppError(error), headers.get(REQUEST_ID) ?? ""));
    }
    return undefined;
  }

  #callerOf(method: DescMethod): Caller {
    const { caller } = this.#options;
    return typeof caller === "function" ? caller(method) : caller;
  }
}

/** Connect's clients read 404 as `unimplemented`, which gRPC and gRPC-Web say of an unknown method too. */
const UNKNOWN_METHOD: RefusalStatus = { status: 404 };
const WRONG_VERB: RefusalStatus = { status: 405, headers: { allow: "OPTIONS, POST" } };
const WRONG_TYPE: RefusalStatus = { status: 415 };

async function* startingWith<T>(first: IteratorResult<T, undefined>, rest: AsyncGenerator<T, undefined>) {
  if (first.done === true) return;
  try {
    yield first.value;
    yield* rest;
  } finally {
    // A reader that leaves after the first frame never started the delegation.
    await rest.return(undefined);
  }
}

function shown(method: DescMethod, headers: ReadonlyMap<string, string>): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of responseHeaderNames(method)) {
    const value = headers.get(name);
    if (value !== undefined) found[name] = value;
  }
  return found;
}

function asAppError(error: unknown): AppError {
  return error instanceof AppError ? error : new AppError("INTERNAL", { cause: error });
}
