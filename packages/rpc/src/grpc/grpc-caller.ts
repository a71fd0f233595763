// Calls a service at its gRPC address. Balances over all addresses of a name and reconnects automatically.
import type { DescMethod, Message } from "@bufbuild/protobuf";
import {
  type ChannelCredentials,
  Client,
  type ClientDuplexStream,
  type CallOptions as GrpcCallOptions,
  credentials as grpcCredentials,
  type Metadata,
  status as Status,
  type StatusObject,
} from "@grpc/grpc-js";
import { type Clock, systemClock } from "@muster/core";
import { AppError } from "@muster/errors";
import type { Caller, CallOptions, StreamResponse, UnaryResponse } from "../caller.ts";
import { UNARY_DEADLINE_MS_DEFAULT } from "../dispatcher/deadline.ts";
import { methodName } from "../method-plan.ts";
import { Interruptible } from "../streams/interruptible.ts";
import {
  decodeResponse,
  encodeRequest,
  headersFrom,
  MESSAGE_BYTES_CUT,
  metadataFrom,
  passBytes,
} from "./grpc-codec.ts";
import { fromGrpcError, fromGrpcStatus } from "./grpc-errors.ts";
import "./leaving-connections.ts";
import { writableAgain } from "./node-streams.ts";
import { readAhead } from "./read-ahead.ts";
import { mayRepeat, REPEAT_DELAY_MS } from "./repeat-call.ts";

/** Largest lead of a peer's timer over the timer of this process. */
const DEADLINE_SLACK_MS = 50;

export interface GrpcCallerOptions {
  /**
   * "host:port", or a target of gRPC's naming such as "ipv4:10.0.0.1:50051,10.0.0.2:50051" or "dns:///host:port".
   * Calls are balanced over several addresses, also of one name, such as a headless service.
   */
  readonly address: string;
  readonly tls?: GrpcClientTls | undefined;
  readonly clock?: Clock;
}

export interface GrpcClientTls {
  /** PEM; undefined trusts the machine's roots. */
  readonly ca?: Buffer | undefined;
  /** PEM, for servers that require client certificates. */
  readonly certificate?: Buffer | undefined;
  readonly key?: Buffer | undefined;
}

export interface GrpcCaller extends Caller {
  close(): void;
}

const CLIENT_OPTIONS = {
  "grpc.service_config": JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
  "grpc.max_receive_message_length": MESSAGE_BYTES_CUT,
  "grpc.max_send_message_length": MESSAGE_BYTES_CUT,
  // A frozen peer holds a call for at most 8 s.
  "grpc.keepalive_time_ms": 5_000,
  "grpc.keepalive_timeout_ms": 3_000,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 2_000,
  "grpc.dns_min_time_between_resolutions_ms": 5_000,
  "grpc.enable_http_proxy": 0,
  "grpc-node.flow_control_window": 1024 * 1024,
  "grpc.enable_channelz": 0,
  // Backoff and connections are not shared with other callers of the process.
  "grpc.use_local_subchannel_pool": 1,
} as const;

/** An address with an explicit resolver scheme, as opposed to a host of that name with a port. */
const TARGET_FORM = /^(?:dns|ipv4|ipv6|unix):(?!\d{1,5}$)/;

export function grpcCaller(options: GrpcCallerOptions): GrpcCaller {
  return new RemoteCaller(options);
}

interface Attempt {
  readonly method: DescMethod;
  readonly argument: Buffer;
  readonly options: CallOptions;
  readonly deadlineMs: number;
}

class RemoteCaller implements GrpcCaller {
  readonly #client: Client;
  readonly #clock: Clock;

  constructor({ address, tls, clock = systemClock }: GrpcCallerOptions) {
    const target = TARGET_FORM.test(address) ? address : `dns:${address}`;
    this.#client = new Client(target, channelCredentials(tls), CLIENT_OPTIONS);
    this.#clock = clock;
  }

  async unary(method: DescMethod, request: Message, options: CallOptions): Promise<UnaryResponse> {
    const argument = encodeRequest(method.input, request);
    const deadlineMs = options.deadlineMs ?? this.#clock.nowMs() + UNARY_DEADLINE_MS_DEFAULT;
    const attempt = { method, argument, options, deadlineMs };
    let outcome = await this.#attempt(attempt);
    if ("code" in outcome && mayRepeat(method, outcome)) {
      await this.#clock.sleep(REPEAT_DELAY_MS, options.signal);
      outcome = await this.#attempt(attempt);
    }
    if ("code" in outcome) throw this.#ended(fromGrpcStatus(outcome), deadlineMs);
    return outcome;
  }

  /** Resolves to the response, or to a status other than OK. */
  #attempt({ method, argument, options, deadlineMs }: Attempt): Promise<UnaryResponse | StatusObject> {
    return new Promise((resolve, reject) => {
      if (options.signal.aborted) throw abortError(options.signal);
      let headers: ReadonlyMap<string, string> = NO_HEADERS;
      let response: Buffer | undefined;
      // Uses the channel directly: makeUnaryRequest adds an event emitter, interceptors and a stack trace.
      const call = this.#client
        .getChannel()
        .createCall(`/${methodName(method)}`, deadlineMs, null, null, null);
      const onAbort = (): void => call.cancelWithStatus(Status.CANCELLED, "cancelled by the caller");
      options.signal.addEventListener("abort", onAbort, { once: true });
      call.start(metadataFrom(options.headers), {
        onReceiveMetadata: (metadata) => {
          headers = headersFrom(metadata);
        },
        onReceiveMessage: (bytes: Buffer) => {
          if (response !== undefined) return call.cancelWithStatus(Status.UNIMPLEMENTED, "two messages");
          response = bytes;
          // Without this read a second message would hold the call until its deadline.
          call.startRead();
        },
        onReceiveStatus: (status) => {
          options.signal.removeEventListener("abort", onAbort);
          if (status.code !== Status.OK) {
            if (options.signal.aborted) reject(abortError(options.signal));
            else resolve(status);
            return;
          }
          try {
            resolve({ message: decodeResponse(method.output, response ?? missing(method)), headers });
          } catch (failure) {
            reject(failure);
          }
        },
      });
      call.startRead();
      call.sendMessageWithContext({}, argument);
      call.halfClose();
    });
  }

  stream(method: DescMethod, requests: AsyncIterable<Message>, options: CallOptions): StreamResponse {
    const headers = new Map<string, string>();
    return { messages: this.#messages(method, requests, options, headers), headers };
  }

  /** On the wire a server stream is a bidirectional stream whose caller sends a single message. */
  async *#messages(
    method: DescMethod,
    requests: AsyncIterable<Message>,
    options: CallOptions,
    headers: Map<string, string>,
  ): AsyncIterable<Message> {
    if (options.signal.aborted) throw abortError(options.signal);
    const callOptions: GrpcCallOptions =
      options.deadlineMs === undefined ? {} : { deadline: options.deadlineMs };
    const call = this.#client.makeBidiStreamRequest<Buffer, Buffer>(
      `/${methodName(method)}`,
      passBytes,
      passBytes,
      metadataFrom(options.headers),
      callOptions,
    );
    call.on("metadata", (metadata: Metadata) => {
      for (const [name, value] of headersFrom(metadata)) headers.set(name, value);
    });
    const received = readAhead(call);
    const onAbort = (): void => call.cancel();
    options.signal.addEventListener("abort", onAbort, { once: true });
    const ended = new AbortController();
    const sending = send(call, method, requests, ended.signal);
    try {
      for await (const bytes of received) {
        if (options.signal.aborted) throw abortError(options.signal);
        yield decodeResponse(method.output, bytes);
      }
    } catch (error) {
      if (options.signal.aborted) throw abortError(options.signal);
      throw sending.failure ?? this.#ended(fromGrpcError(error), options.deadlineMs);
    } finally {
      options.signal.removeEventListener("abort", onAbort);
      ended.abort();
      call.cancel();
    }
  }

  /**
   * A peer enforces the same deadline by its own clock. When the peer's timer fires first, the end arrives as
   * a reset stream.
   */
  #ended(error: AppError, deadlineMs: number | undefined): AppError {
    const isLate = deadlineMs !== undefined && this.#clock.nowMs() >= deadlineMs - DEADLINE_SLACK_MS;
    return isLate && error.reason === "UNAVAILABLE"
      ? new AppError("DEADLINE_EXCEEDED", { cause: error })
      : error;
  }

  close(): void {
    this.#client.close();
  }
}

function missing(method: DescMethod): never {
  throw new AppError("UNIMPLEMENTED", {
    cause: new Error(`${methodName(method)} returned no message`),
  });
}

interface Sending {
  /** Set when the requests could not be produced or encoded. */
  failure: AppError | undefined;
}

/** Writes the requests as fast as the peer accepts them, until the requests or the call end. */
function send(
  call: ClientDuplexStream<Buffer, Buffer>,
  method: DescMethod,
  requests: AsyncIterable<Message>,
  ended: AbortSignal,
): Sending {
  const sending: Sending = { failure: undefined };
  const run = async (): Promise<void> => {
    for await (const request of new Interruptible(requests, ended, { endOnAbort: true })) {
      if (!call.write(encodeRequest(method.input, request))) await writableAgain(call);
    }
    call.end();
  };
  run().catch((error: unknown) => {
    sending.failure = error instanceof AppError ? error : new AppError("INTERNAL", { cause: error });
    call.cancel();
  });
  return sending;
}

const NO_HEADERS: ReadonlyMap<string, string> = new Map();

function abortError(signal: AbortSignal): AppError {
  return signal.reason instanceof AppError ? signal.reason : new AppError("CANCELED");
}

function channelCredentials(tls: GrpcClientTls | undefined): ChannelCredentials {
  if (tls === undefined) return grpcCredentials.createInsecure();
  return grpcCredentials.createSsl(tls.ca ?? null, tls.key ?? null, tls.certificate ?? null);
}
