// Carries a call through the interceptors; handlers receive the call as CallContext.
import type { DescMethod, Message } from "@bufbuild/protobuf";
import type { Principal, UserPrincipal } from "@muster/authz";
import { AssertionError, type OrganizationId } from "@muster/core";
import type { AppError } from "@muster/errors";
import type { CallOptions } from "../caller.ts";
import { CLIENT_ADDRESS, CLIENT_USER_AGENT, type ClientInfo } from "../client-address/client-info.ts";
import type { CallContext } from "../handler.ts";
import {
  AUTHORIZATION,
  CONSISTENCY,
  PARTNER_KEY,
  PARTNER_SIGNATURE,
  SERVICE_TOKEN,
  traceParentFrom,
} from "../metadata.ts";
import type { MethodPlan } from "../method-plan.ts";

/** Source of the request: a message (not necessarily decoded yet), or a stream of messages. */
export type RequestSource =
  | { readonly decode: () => Message }
  | { readonly messages: AsyncIterable<Message> };

/** Credentials stay with the interceptors, so that no handler can log or forward them; so does the client. */
const INTERCEPTED = [
  AUTHORIZATION,
  SERVICE_TOKEN,
  PARTNER_KEY,
  PARTNER_SIGNATURE,
  CLIENT_ADDRESS,
  CLIENT_USER_AGENT,
];
const NO_CLIENT: ClientInfo = { address: "", userAgent: "" };

export class Call implements CallContext {
  readonly plan: MethodPlan;
  readonly requestId: string;
  readonly traceParent: string;
  readonly requestHeaders: ReadonlyMap<string, string>;
  readonly responseHeaders = new Map<string, string>();
  readonly eventual: boolean;
  /** Set by the caller; the deadline interceptor derives the handler's options. */
  readonly options: CallOptions;
  readonly source: RequestSource;
  /** Epoch ms; the deadline interceptor sets the default. */
  deadlineMs: number | undefined;
  /** Set by admitClient. */
  client: ClientInfo = NO_CLIENT;
  /** Set by authenticate. */
  caller: Principal | undefined;
  /** Set by validate: the message, or the stream of a bidirectional call. */
  request: Message | AsyncIterable<Message> | undefined;
  /** A message of the request stream was refused: the call fails even if the handler continues. */
  requestFailure: AppError | undefined;
  /** Set by idempotency. */
  keptResponse: Message | undefined;
  /** Set by idempotency. */
  responseSaver: ((...saveParameters: Parameters<CallContext["saveResponse"]>) => Promise<void>) | undefined;
  readonly #controller = new AbortController();
  readonly #cleanups: (() => void)[] = [];

  constructor(plan: MethodPlan, requestId: string, source: RequestSource, options: CallOptions) {
    this.plan = plan;
    this.requestId = requestId;
    this.source = source;
    this.options = options;
    this.deadlineMs = options.deadlineMs;
    this.traceParent = traceParentFrom(options.headers);
    this.eventual = options.headers.get(CONSISTENCY) === "eventual";
    const headers = new Map(options.headers);
    for (const name of INTERCEPTED) headers.delete(name);
    this.requestHeaders = headers;
  }

  get method(): DescMethod {
    return this.plan.method;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get principal(): Principal {
    if (this.caller === undefined) throw new AssertionError("the caller is not authenticated yet");
    return this.caller;
  }

  get organizationId(): OrganizationId {
    const { kind, organizationId } = this.principal;
    if (organizationId === undefined)
      throw new AssertionError(`the call of kind ${kind} has no organization`);
    return organizationId;
  }

  get user(): UserPrincipal {
    const principal = this.principal;
    if (principal.kind !== "user") throw new AssertionError(`the caller is no user: ${principal.kind}`);
    return principal;
  }

  /** Ends the call with this error and aborts the handler's signal. */
  abort(error: AppError): void {
    this.#controller.abort(error);
  }

  /** Runs the function when a streaming call is over. */
  onEnd(cleanup: () => void): void {
    this.#cleanups.push(cleanup);
  }

  end(): void {
    for (const cleanup of this.#cleanups.splice(0)) cleanup();
  }

  async saveResponse(...saveParameters: Parameters<CallContext["saveResponse"]>): Promise<void> {
    await this.responseSaver?.(...saveParameters);
  }
}
