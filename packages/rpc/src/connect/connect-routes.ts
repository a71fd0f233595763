// Registers the methods of Callers as routes of a ConnectRouter, for Connect, gRPC-Web and gRPC.
import type { DescMethod, DescService, Message } from "@bufbuild/protobuf";
import { getOption } from "@bufbuild/protobuf";
import type { ConnectRouter, ConnectRouterOptions, HandlerContext, MethodImpl } from "@connectrpc/connect";
import { policy } from "@muster/contracts/muster/options/v1/options_pb";
import { BODY_BYTES_MAX, type Clock, systemClock } from "@muster/core";
import { AppError } from "@muster/errors";
import type { Caller, CallOptions } from "../caller.ts";
import { single } from "../client.ts";
import { forwardedHeaders, responseHeaderNames } from "../metadata.ts";
import { toConnectError } from "./connect-errors.ts";

export interface ConnectRoutesOptions {
  readonly services: readonly DescService[];
  /** A caller for all methods, or a function that returns the caller of a method's service. */
  readonly caller: Caller | ((method: DescMethod) => Caller);
  /** May add metadata to the client's, such as a service token for the demo organization. */
  readonly addHeaders?: (context: HandlerContext, headers: Map<string, string>) => void;
  readonly clock?: Clock;
}

/** Limits and options of a ConnectRouter besides its routes; see createConnectHandler. */
export const connectLimits: Partial<ConnectRouterOptions> = {
  readMaxBytes: BODY_BYTES_MAX,
  // Compressing a response costs several times more than building it.
  acceptCompression: [],
};

/** Routes of every method that clients may call: internal methods are not served here. */
export function connectRoutes(options: ConnectRoutesOptions): (router: ConnectRouter) => void {
  return (router) => {
    for (const service of options.services) {
      for (const method of service.methods) {
        if (!getOption(method, policy).internal) router.rpc(method, forward(options, method));
      }
    }
  };
}

function forward(options: ConnectRoutesOptions, method: DescMethod): MethodImpl<DescMethod> {
  const { caller } = options;
  const target = typeof caller === "function" ? caller(method) : caller;
  if (method.methodKind === "unary") {
    return (async (request: Message, context: HandlerContext) => {
      try {
        const response = await target.unary(method, request, callOptions(options, method, context));
        showHeaders(method, response.headers, context);
        return response.message;
      } catch (error) {
        throw toConnectError(asAppError(error));
      }
    }) as MethodImpl<DescMethod>;
  }
  return async function* (requests: Message | AsyncIterable<Message>, context: HandlerContext) {
    try {
      const source = Symbol.asyncIterator in requests ? requests : single(requests);
      const response = target.stream(method, source, callOptions(options, method, context));
      for await (const message of response.messages) {
        showHeaders(method, response.headers, context);
        yield message;
      }
    } catch (error) {
      throw toConnectError(asAppError(error));
    }
  } as MethodImpl<DescMethod>;
}

function callOptions(
  { addHeaders, clock = systemClock }: ConnectRoutesOptions,
  method: DescMethod,
  context: HandlerContext,
): CallOptions {
  const headers = forwardedHeaders(method, (name) => context.requestHeader.get(name));
  addHeaders?.(context, headers);
  const timeoutMs = context.timeoutMs();
  return {
    headers,
    signal: context.signal,
    deadlineMs: timeoutMs === undefined ? undefined : clock.nowMs() + timeoutMs,
  };
}

function showHeaders(
  method: DescMethod,
  headers: ReadonlyMap<string, string>,
  context: HandlerContext,
): void {
  for (const name of responseHeaderNames(method)) {
    const value = headers.get(name);
    if (value !== undefined) context.responseHeader.set(name, value);
  }
}

function asAppError(error: unknown): AppError {
  return error instanceof AppError ? error : new AppError("INTERNAL", { cause: error });
}
