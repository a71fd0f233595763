// Declares handlers: functions of (message, context), typed by the generated service, without a transport.
// packages/rpc mounts handlers three ways: direct calls, grpc-js and connect-node.
import type { DescMethod, DescService, Message, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { Principal, UserPrincipal } from "@muster/authz";
import type { OrganizationId, ProfileId } from "@muster/core";
import type { Transaction } from "@muster/db";
import type { ClientInfo } from "./client-address/client-info.ts";

/** Everything that a handler receives about its call besides the message. */
export interface CallContext {
  readonly method: DescMethod;
  readonly principal: Principal;
  /**
   * The caller's organization. Throws where there is none: internal methods take the organization from the
   * message, and public methods have no caller.
   */
  readonly organizationId: OrganizationId;
  /** The program that called: known by the gateway's word, else by the connection's other end. */
  readonly client: ClientInfo;
  /** The signed-in user who calls a method for persons. Throws for every other caller. */
  readonly user: UserPrincipal;
  readonly requestId: string;
  /** W3C traceparent, or empty. */
  readonly traceParent: string;
  /** Aborts when the caller goes away or the deadline passes. */
  readonly signal: AbortSignal;
  /** Epoch ms, if the caller set a deadline. */
  readonly deadlineMs: number | undefined;
  /** Request metadata, names in lower case. */
  readonly requestHeaders: ReadonlyMap<string, string>;
  /** Metadata of the response. */
  readonly responseHeaders: Map<string, string>;
  /** The caller accepts a response that does not yet include every acknowledged write. */
  readonly eventual: boolean;
  /**
   * The kept response of a repeated call, only for a method with `checks_replay`: the handler checks the credentials of
   * the request, has no other effect, and returns this response.
   */
  readonly keptResponse: Message | undefined;
  /**
   * Saves the response under the call's Idempotency-Key in the transaction that has the effect; a no-op for
   * calls without a key. Rejects, and so rolls back, if the claim was lost meanwhile. `subjects` are profiles
   * that the response is about besides the profiles in its subject fields.
   */
  saveResponse(trx: Transaction, response: Message, options?: SaveResponseOptions): Promise<void>;
}

export interface SaveResponseOptions {
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

/** A handler for each method: a missing handler does not compile. */
export type ServiceHandlers<S extends DescService> = {
  readonly [K in keyof S["method"]]: MethodHandler<S["method"][K]>;
};

/** A service with its handlers, types erased. Created by {@link implement}. */
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
