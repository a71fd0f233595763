// Serves methods of a LazyCaller on a grpc-js server. A handler that throws or rejects never becomes an
// unhandled rejection, which would end the process and leave the caller waiting.
import type { DescMethod, DescService, Message } from "@bufbuild/protobuf";
import type {
  Deadline,
  Metadata,
  Server,
  ServerDuplexStream,
  ServerUnaryCall,
  ServerWritableStream,
  sendUnaryData,
} from "@grpc/grpc-js";
import type { Clock } from "@muster/core";
import { AppError } from "@muster/errors";
import type { Logger } from "@muster/log";
import type { CallOptions, StreamResponse } from "../caller.ts";
import { single } from "../client.ts";
import { grpcPeerAddress } from "../client-address/client-address.ts";
import type { LazyCaller } from "../dispatcher/dispatcher.ts";
import { copyError } from "../error-copy.ts";
import { REQUEST_ID, requestIdFrom } from "../metadata.ts";
import { isEndless, methodName } from "../method-plan.ts";
import { Interruptible } from "../streams/interruptible.ts";
import type { OpenCall, OpenCalls } from "../streams/open-calls.ts";
import { OutputGuard, type OutputLimits } from "../streams/output-guard.ts";
import {
  decodeRequest,
  encodeResponse,
  headersFrom,
  metadataFrom,
  passBytes,
  refuseLargeMetadata,
} from "./grpc-codec.ts";
import { toGrpcStatus } from "./grpc-errors.ts";
import { readChunks, resetStream } from "./node-streams.ts";
import type { UnreadResponses } from "./unread-responses.ts";

type UnaryCall = ServerUnaryCall<Buffer, Buffer>;
type ServerStream = ServerWritableStream<Buffer, Buffer>;
type BidiStream = ServerDuplexStream<Buffer, Buffer>;

export interface GrpcMount {
  readonly server: Server;
  readonly log: Logger;
  readonly clock: Clock;
  readonly newRequestId: () => string;
  readonly calls: OpenCalls;
  readonly output: OutputLimits;
  readonly unreadResponses: UnreadResponses;
}

export function mountService(mount: GrpcMount, service: DescService, caller: LazyCaller): void {
  for (const method of service.methods) {
    const path = `/${methodName(method)}`;
    switch (method.methodKind) {
      case "unary":
        mount.server.register(path, serveUnary(mount, method, caller), passBytes, passBytes, "unary");
        break;
      case "server_streaming":
        mount.server.register(
          path,
          serveServerStream(mount, method, caller),
          passBytes,
          passBytes,
          "serverStream",
        );
        break;
      default:
        mount.server.register(path, serveBidi(mount, method, caller), passBytes, passBytes, "bidi");
    }
  }
}

function serveUnary(mount: GrpcMount, method: DescMethod, caller: LazyCaller) {
  return (call: UnaryCall, respond: sendUnaryData<Buffer>): void => {
    const headers = new Map<string, string>();
    const run = async (): Promise<void> => {
      readHeaders(mount, call, headers);
      const decode = (): Message => decodeRequest(method, call.request);
      const options = optionsOf(call, headers, open.signal);
      const response = await caller.unaryLazy(method, decode, options);
      const bytes = encodeResponse(method.output, response.message);
      mount.unreadResponses.add(call, bytes.byteLength);
      if (response.headers.size > 0) call.sendMetadata(metadataFrom(response.headers));
      isSent = true;
      respond(null, bytes);
    };
    let isSent = false;
    const open = mount.calls.open(false);
    // grpc-js emits "cancelled" after every call, including calls that have ended.
    call.once("cancelled", () => {
      if (!isSent) open.abort(CALLER_GONE);
    });
    run()
      .catch((error: unknown) => respond(toGrpcStatus(toSendableError(mount, method, headers, error))))
      .finally(() => open.close());
  };
}

function serveServerStream(mount: GrpcMount, method: DescMethod, caller: LazyCaller) {
  return (call: ServerStream): void => {
    const requests = decoded(method, single(call.request));
    void sendStream(mount, method, call, (options) => caller.stream(method, requests, options));
  };
}

function serveBidi(mount: GrpcMount, method: DescMethod, caller: LazyCaller) {
  return (call: BidiStream): void => {
    const { draining } = mount.calls;
    const incoming = new DrainedRequests(readChunks<Buffer>(call), draining);
    void sendStream(
      mount,
      method,
      call,
      (options) => caller.stream(method, decoded(method, incoming), options),
      // Only now does the caller receive the status that the server is going away.
      () => {
        if (incoming.areCut) throw draining.reason;
      },
    );
  };
}

/**
 * When the server drains, the requests end as if the caller had closed its side, so that the handler finishes
 * its current work.
 */
class DrainedRequests implements AsyncIterable<Buffer> {
  readonly #incoming: AsyncIterable<Buffer>;
  readonly #draining: AbortSignal;
  #areClosed = false;

  constructor(incoming: AsyncIterable<Buffer>, draining: AbortSignal) {
    this.#incoming = incoming;
    this.#draining = draining;
  }

  /** The drain has ended the requests, and not the caller. */
  get areCut(): boolean {
    return this.#draining.aborted && !this.#areClosed;
  }

  [Symbol.asyncIterator](): AsyncIterator<Buffer> {
    return new Interruptible(this.#untilClosed(), this.#draining, { endOnAbort: true });
  }

  async *#untilClosed(): AsyncGenerator<Buffer> {
    yield* this.#incoming;
    this.#areClosed = true;
  }
}

async function* decoded(method: DescMethod, messages: AsyncIterable<Buffer>): AsyncIterable<Message> {
  for await (const bytes of messages) yield decodeRequest(method, bytes);
}

type OpenStream = (options: CallOptions) => StreamResponse;

async function sendStream(
  mount: GrpcMount,
  method: DescMethod,
  call: ServerStream | BidiStream,
  openStream: OpenStream,
  /** Throws if the stream must not end with OK. */
  beforeEnd: () => void = () => {},
): Promise<void> {
  const headers = new Map<string, string>();
  const open = mount.calls.open(isEndless(method));
  const output = guard(mount, open, call);
  // grpc-js emits "cancelled" after every call. The reason is a constant, because a DOMException is expensive.
  call.once("cancelled", () => {
    open.abort(CALLER_GONE);
    output.close();
  });
  try {
    readHeaders(mount, call, headers);
    const response = openStream(optionsOf(call, headers, open.signal));
    let isStarted = false;
    const start = (): void => {
      if (!isStarted && response.headers.size > 0) call.sendMetadata(metadataFrom(response.headers));
      isStarted = true;
    };
    for await (const message of response.messages) {
      start();
      const bytes = encodeResponse(method.output, message);
      call.write(bytes, output.add(bytes.byteLength));
      if (output.isFull) await output.room();
    }
    start();
    beforeEnd();
    call.end();
  } catch (error) {
    // A canceled call has no listeners, and its stream is destroyed.
    if (!call.cancelled) call.emit("error", toGrpcStatus(toSendableError(mount, method, headers, error)));
  } finally {
    open.close();
  }
}

/** Ends the call, with its handler and its connection's stream, when the caller stops reading. */
function guard(mount: GrpcMount, open: OpenCall, call: ServerStream | BidiStream): OutputGuard {
  return new OutputGuard({
    clock: mount.clock,
    limits: mount.output,
    onStall(error) {
      open.abort(error);
      // A status would wait behind the output that the caller does not read.
      resetStream(call);
    },
  });
}

interface IncomingCall {
  readonly metadata: Metadata;
  getDeadline(): Deadline;
  getPeer(): string;
  once(event: "cancelled", listener: () => void): unknown;
}

/** Fills `headers` from the call; a request id is always set. */
function readHeaders(mount: GrpcMount, call: IncomingCall, headers: Map<string, string>): void {
  headers.set(REQUEST_ID, mount.newRequestId());
  refuseLargeMetadata(call.metadata);
  const given = headersFrom(call.metadata);
  const isGood = requestIdFrom(given) !== undefined;
  for (const [name, value] of given) if (name !== REQUEST_ID || isGood) headers.set(name, value);
}

function optionsOf(call: IncomingCall, headers: Map<string, string>, signal: AbortSignal): CallOptions {
  return { headers, signal, deadlineMs: deadlineOf(call), peerAddress: grpcPeerAddress(call.getPeer()) };
}

function deadlineOf(call: IncomingCall): number | undefined {
  const deadline = Number(call.getDeadline());
  return Number.isFinite(deadline) ? deadline : undefined;
}

const CALLER_GONE = "the caller is gone";

/** The error for the caller; a defect of the mount or of a response is logged here. */
function toSendableError(
  mount: GrpcMount,
  method: DescMethod,
  headers: ReadonlyMap<string, string>,
  error: unknown,
): AppError {
  const requestId = headers.get(REQUEST_ID) ?? "";
  if (error instanceof AppError)
    return error.requestId === undefined ? copyError(error, { requestId }) : error;
  mount.log.error({ method: methodName(method), request_id: requestId, err: error }, "response failed");
  return new AppError("INTERNAL", { requestId });
}
