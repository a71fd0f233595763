// Creates typed clients for calls between services, over any Caller.
import {
  create,
  type DescMessage,
  type DescMethod,
  type DescService,
  type Message,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { AssertionError } from "@muster/core";
import { AppError } from "@muster/errors";
import type { Caller, CallOptions } from "./caller.ts";
import type { CallContext } from "./handler.ts";
import { CONSISTENCY, REQUEST_ID, TRACE_PARENT } from "./metadata.ts";

export interface ClientCallOptions {
  readonly signal?: AbortSignal | undefined;
  /** Epoch ms. */
  readonly deadlineMs?: number | undefined;
  /** Names in lower case. */
  readonly headers?: ReadonlyMap<string, string> | undefined;
}

type ClientMethod<M extends DescMethod> = M["methodKind"] extends "unary"
  ? (request: MessageInitShape<M["input"]>, options?: ClientCallOptions) => Promise<MessageShape<M["output"]>>
  : M["methodKind"] extends "server_streaming"
    ? (
        request: MessageInitShape<M["input"]>,
        options?: ClientCallOptions,
      ) => AsyncIterable<MessageShape<M["output"]>>
    : (
        requests: AsyncIterable<MessageInitShape<M["input"]>>,
        options?: ClientCallOptions,
      ) => AsyncIterable<MessageShape<M["output"]>>;

/** Unary methods return a promise, streaming methods an async iterable. Rejections are always AppError. */
export type Client<S extends DescService> = {
  readonly [K in keyof S["method"]]: ClientMethod<S["method"][K]>;
};

/** A client of the service; `defaults` apply to every call that does not set the option. */
export function createClient<S extends DescService>(
  service: S,
  caller: Caller,
  defaults: ClientCallOptions = {},
): Client<S> {
  const client: Record<string, unknown> = {};
  for (const method of service.methods) client[method.localName] = clientMethod(method, caller, defaults);
  return client as Client<S>;
}

/** Options of a call made on behalf of another call: request id, trace, signal and deadline. */
export function onBehalfOf(context: CallContext): ClientCallOptions {
  const headers = new Map([[REQUEST_ID, context.requestId]]);
  if (context.traceParent !== "") headers.set(TRACE_PARENT, context.traceParent);
  if (context.eventual) headers.set(CONSISTENCY, "eventual");
  return { headers, signal: context.signal, deadlineMs: context.deadlineMs };
}

const NO_HEADERS: ReadonlyMap<string, string> = new Map();
const NEVER = new AbortController().signal;

function clientMethod(method: DescMethod, caller: Caller, defaults: ClientCallOptions): unknown {
  const callOptions = (options: ClientCallOptions): CallOptions => ({
    headers: options.headers ?? defaults.headers ?? NO_HEADERS,
    signal: options.signal ?? defaults.signal ?? NEVER,
    deadlineMs: options.deadlineMs ?? defaults.deadlineMs,
  });
  const build = (init: MessageInitShape<DescMessage>): Message => create(method.input, init);
  switch (method.methodKind) {
    case "unary":
      return async (request: MessageInitShape<DescMessage>, options: ClientCallOptions = {}) => {
        const response = await caller.unary(method, build(request), callOptions(options));
        return response.message;
      };
    case "server_streaming":
      return (request: MessageInitShape<DescMessage>, options: ClientCallOptions = {}) =>
        caller.stream(method, single(build(request)), callOptions(options)).messages;
    case "bidi_streaming":
      return (requests: AsyncIterable<MessageInitShape<DescMessage>>, options: ClientCallOptions = {}) =>
        caller.stream(method, mapped(requests, build), callOptions(options)).messages;
    default:
      throw new AssertionError(`${method.parent.typeName}.${method.name}: no client streaming here`);
  }
}

/** A stream of a single message. */
export async function* single<T>(message: T): AsyncIterable<T> {
  yield message;
}

async function* mapped<A, B>(source: AsyncIterable<A>, change: (item: A) => B): AsyncIterable<B> {
  for await (const item of source) yield change(item);
}

/** The first message of a stream; REQUEST_MALFORMED when the stream is empty. */
export async function firstOf<T>(messages: AsyncIterable<T>): Promise<T> {
  for await (const message of messages) return message;
  throw new AppError("REQUEST_MALFORMED", { message: "The call carries no message." });
}
