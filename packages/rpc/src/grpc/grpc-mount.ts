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
import { AppError } from "@muster/errors";
import type { Logger } from "@muster/log";
import type { CallOptions, StreamResponse } from "../caller.ts";
import { single } from "../client.ts";
import type { LazyCaller } from "../dispatcher/dispatcher.ts";
import { copyError } from "../error-copy.ts";
import { Interruptible } from "../interruptible.ts";
import { REQUEST_ID, requestIdFrom } from "../metadata.ts";
import { methodName } from "../method-plan.ts";
import {
  decodeRequest,
  encodeResponse,
  headersFrom,
  metadataFrom,
  passBytes,
  refuseLargeMetadata,
} from "./grpc-codec.ts";
import { toGrpcStatus } from "./grpc-errors.ts";
import { readChunks, writableAgain } from "./node-streams.ts";

type UnaryCall = ServerUnaryCall<Buffer, Buffer>;
type ServerStream = ServerWritableStream<Buffer, Buffer>;
type BidiStream = ServerDuplexStream<Buffer, Buffer>;

export interface GrpcMount {
  readonly server: Server;
  readonly log: Logger;
  readonly newRequestId: () => string;
  /** Aborts with an AppError when the server drains; streams then end with that error. */
  readonly draining: AbortSignal;
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
      const decode = (): Message => decodeRequest(method.input, call.request);
      const response = await caller.unaryLazy(
        method,
        decode,
        unaryOptions(call, headers, () => isSent),
      );
      const bytes = encodeResponse(method.output, response.message);
      if (response.headers.size > 0) call.sendMetadata(metadataFrom(response.headers));
      isSent = true;
      respond(null, bytes);
    };
    let isSent = false;
    run().catch((error: unknown) => respond(toGrpcStatus(toSendableError(mount, method, headers, error))));
  };
}

function serveServerStream(mount: GrpcMount, method: DescMethod, caller: LazyCaller) {
  return (call: ServerStream): void => {
    const requests = decoded(method, single(call.request));
    void sendStream(mount, method, call, (headers) => {
      const options = callOptions(call, headers, mount.draining);
      return caller.stream(method, requests, options);
    });
  };
}

function serveBidi(mount: GrpcMount, method: DescMethod, caller: LazyCaller) {
  return (call: BidiStream): void => {
    const requests = decoded(method, untilDrained(readChunks<Buffer>(call), mount.draining));
    void sendStream(mount, method, call, (headers) =>
      caller.stream(method, requests, callOptions(call, headers)),
    );
  };
}

/**
 * When the server drains, the requests end as if the caller had closed its side, so that the handler finishes
 * its current work. Only then does the caller receive the status that the server is going away.
 */
async function* untilDrained(incoming: AsyncIterable<Buffer>, draining: AbortSignal): AsyncIterable<Buffer> {
  yield* new Interruptible(incoming, draining, { endOnAbort: true });
}

async function* decoded(method: DescMethod, messages: AsyncIterable<Buffer>): AsyncIterable<Message> {
  for await (const bytes of messages) yield decodeRequest(method.input, bytes);
}

type Open = (headers: Map<string, string>) => StreamResponse;

async function sendStream(
  mount: GrpcMount,
  method: DescMethod,
  call: ServerStream | BidiStream,
  open: Open,
): Promise<void> {
  const headers = new Map<string, string>();
  try {
    readHeaders(mount, call, headers);
    const response = open(headers);
    let isStarted = false;
    const start = (): void => {
      if (!isStarted && response.headers.size > 0) call.sendMetadata(metadataFrom(response.headers));
      isStarted = true;
    };
    for await (const message of response.messages) {
      start();
      if (!call.write(encodeResponse(method.output, message))) await writableAgain(call);
    }
    start();
    if (mount.draining.aborted) throw mount.draining.reason;
    call.end();
  } catch (error) {
    // A canceled call has no listeners, and its stream is destroyed.
    if (!call.cancelled) call.emit("error", toGrpcStatus(toSendableError(mount, method, headers, error)));
  }
}

interface IncomingCall {
  readonly metadata: Metadata;
  getDeadline(): Deadline;
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

/** As callOptions; but grpc-js emits "cancelled" after every call, including calls that have ended. */
function unaryOptions(
  call: IncomingCall,
  headers: ReadonlyMap<string, string>,
  isSent: () => boolean,
): CallOptions {
  const controller = new AbortController();
  call.once("cancelled", () => {
    if (!isSent()) controller.abort(CALLER_GONE);
  });
  return { headers, signal: controller.signal, deadlineMs: deadlineOf(call) };
}

function deadlineOf(call: IncomingCall): number | undefined {
  const deadline = Number(call.getDeadline());
  return Number.isFinite(deadline) ? deadline : undefined;
}

function callOptions(
  call: IncomingCall,
  headers: ReadonlyMap<string, string>,
  ending?: AbortSignal,
): CallOptions {
  const controller = new AbortController();
  const onEnding = (): void => controller.abort(ending?.reason);
  // grpc-js emits "cancelled" after every call. The reason is a constant, because a DOMException is
  // expensive.
  call.once("cancelled", () => {
    ending?.removeEventListener("abort", onEnding);
    controller.abort(CALLER_GONE);
  });
  if (ending?.aborted) onEnding();
  else ending?.addEventListener("abort", onEnding, { once: true });
  return { headers, signal: controller.signal, deadlineMs: deadlineOf(call) };
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
