// What a handler is: a function of (message, context), typed by the generated service, that knows no
// transport. packages/rpc mounts it three ways: called directly, by grpc-js, by connect-node.
import type { DescMethod, DescService, Message, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { Principal } from "@muster/authz";
import type { OrganizationId, ProfileId } from "@muster/core";
import type { Transaction } from "@muster/db";

/** Everything a handler may know of its call besides the message. */
export interface CallContext {
  readonly method: DescMethod;
  readonly principal: Principal;
  /** The caller's organisation. Throws for another service's call: internal methods take theirs from the message. */
  readonly organizationId: OrganizationId;
  readonly requestId: string;
  /** W3C traceparent, or empty. */
  readonly traceParent: string;
  /** Aborts when the caller goes away or the deadline passes. */
  readonly signal: AbortSignal;
  /** Epoch ms, if the caller set a deadline. */
  readonly deadlineMs: number | undefined;
  /** Request metadata, names in lower case. */
  readonly requestHeaders: ReadonlyMap<string, string>;
  /** Metadata of the answer. */
  readonly responseHeaders: Map<string, string>;
  /** The caller accepts an answer that does not yet include every acknowledged write. */
  readonly eventual: boolean;
  /**
   * Keeps the answer under the call's Idempotency-Key in the transaction that has the effect; does
   * nothing where the call has none. Rejects, and so rolls back, if the claim was lost meanwhile. `subjects`
   * are profiles that the answer is about besides those that its fields name as such.
   */
  settle(trx: Transaction, response: Message, options?: SettleOptions): Promise<void>;
}

export interface SettleOptions {
  readonly subjects?: readonly ProfileId[];
}

export type UnaryHandler<M extends DescMethod> = (
  request: MessageShape<M["input"]>,
  context: CallContext,
) => Promise<MessageInitShape<M["output"]>>;

export type ServerStreamHandler<M extends DescMethod> = (
  request: MessageShape<M["input"]>,
  context: CallContext,
) => AsyncIterable<MessageInitShape<M["output"]>>;

export type BidiStreamHandler<M extends DescMethod> = (
  requests: AsyncIterable<MessageShape<M["input"]>>,
  context: CallContext,
) => AsyncIterable<MessageInitShape<M["output"]>>;

export type MethodHandler<M extends DescMethod> = M["methodKind"] extends "unary"
  ? UnaryHandler<M>
  : M["methodKind"] extends "server_streaming"
    ? ServerStreamHandler<M>
    : BidiStreamHandler<M>;

/** One handler for each method: a missing one does not compile. */
export type ServiceHandlers<S extends DescService> = {
  readonly [K in keyof S["method"]]: MethodHandler<S["method"][K]>;
};

/** A service with its handlers, types erased. Made by {@link implement}. */
export interface ServiceImplementation {
  readonly service: DescService;
  readonly handlers: Readonly<Record<string, unknown>>;
}

export function implement<S extends DescService>(
  service: S,
  handlers: ServiceHandlers<S>,
): ServiceImplementation {
  return { service, handlers: handlers as Readonly<Record<string, unknown>> };
}
