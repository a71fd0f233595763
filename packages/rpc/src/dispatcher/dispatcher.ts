// Runs a service's methods behind the interceptors. Calls within the process use the dispatcher directly; the
// gRPC server and the Connect routes call the same dispatcher.
import { create, type DescMethod, type Message } from "@bufbuild/protobuf";
import type { ApiKeyUsage, CredentialVerifier, PartnerVerifier, ServiceTokenPort } from "@muster/authz";
import { AssertionError, type Clock, type IdSource, type OrganizationId, randomIds } from "@muster/core";
import { AppError } from "@muster/errors";
import type { IdempotencyLedgerPort } from "@muster/idempotency";
import type { Logger } from "@muster/log";
import type { Metrics } from "@muster/metrics";
import type { RateLimiter } from "@muster/rate-limits";
import type { Caller, CallOptions, StreamResponse, UnaryResponse } from "../caller.ts";
import type { ServiceImplementation } from "../handler.ts";
import { requestIdFrom } from "../metadata.ts";
import {
  type ErasedStreamHandler,
  type ErasedUnaryHandler,
  type MethodPlan,
  planMethods,
} from "../method-plan.ts";
import { Interruptible } from "../streams/interruptible.ts";
import { admitClient } from "./admit-client.ts";
import { authenticate } from "./authenticate.ts";
import { authorize } from "./authorize.ts";
import { Call, type RequestSource } from "./call.ts";
import { deadline } from "./deadline.ts";
import { errors } from "./errors.ts";
import { idempotency } from "./idempotency.ts";
import {
  composeStream,
  composeUnary,
  type Interceptor,
  type StreamNext,
  type UnaryNext,
} from "./interceptor.ts";
import { logAndMetrics } from "./log-and-metrics.ts";
import { validate } from "./validate.ts";
import { watchCredential } from "./watch-credential.ts";

export interface DispatcherOptions {
  readonly implementations: readonly ServiceImplementation[];
  /** Such as "events". */
  readonly serviceName: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly credentials: CredentialVerifier;
  readonly serviceTokens: ServiceTokenPort;
  /** Verifies the signatures of partners, for a service with methods for partners. */
  readonly partners?: PartnerVerifier | undefined;
  /** Set in embedded mode: the organization for which a local caller without credentials acts. */
  readonly demoOrganizationId?: OrganizationId | undefined;
  /** Without a ledger, calls with an Idempotency-Key are refused. */
  readonly ledger?: IdempotencyLedgerPort | undefined;
  /** Limits of public methods. */
  readonly limiter?: RateLimiter | undefined;
  /** Counts the calls of API keys. */
  readonly usage?: ApiKeyUsage | undefined;
  /** Makes request ids. */
  readonly ids?: IdSource | undefined;
}

/** A caller that accepts requests before they are decoded. */
export interface LazyCaller extends Caller {
  /** As `unary`; `decode` runs only after the caller is authenticated and authorized. */
  unaryLazy(method: DescMethod, decode: () => Message, options: CallOptions): Promise<UnaryResponse>;
}

/** The methods of a module. */
export interface Dispatcher extends LazyCaller {
  readonly serviceName: string;
  readonly implementations: readonly ServiceImplementation[];
}

export function createDispatcher(options: DispatcherOptions): Dispatcher {
  return new InterceptedDispatcher(options);
}

class InterceptedDispatcher implements Dispatcher {
  readonly serviceName: string;
  readonly implementations: readonly ServiceImplementation[];
  readonly #plans: ReadonlyMap<DescMethod, MethodPlan>;
  readonly #clock: Clock;
  readonly #ids: IdSource;
  readonly #runUnary: UnaryNext;
  readonly #runStream: StreamNext;

  constructor(options: DispatcherOptions) {
    this.serviceName = options.serviceName;
    this.implementations = options.implementations;
    this.#plans = planMethods(options.implementations);
    this.#clock = options.clock;
    this.#ids = options.ids ?? randomIds;
    const interceptors = chain(options);
    this.#runUnary = composeUnary(interceptors, handleUnary);
    this.#runStream = composeStream(interceptors, handleStream);
  }

  unary(method: DescMethod, request: Message, options: CallOptions): Promise<UnaryResponse> {
    return this.unaryLazy(method, () => request, options);
  }

  async unaryLazy(method: DescMethod, decode: () => Message, options: CallOptions): Promise<UnaryResponse> {
    const call = this.#call(method, { decode }, options);
    const message = await this.#runUnary(call);
    return { message, headers: call.responseHeaders };
  }

  stream(method: DescMethod, requests: AsyncIterable<Message>, options: CallOptions): StreamResponse {
    if (!this.#plans.has(method)) return { messages: unimplemented(), headers: new Map() };
    const call = this.#call(method, { messages: requests }, options);
    return { messages: this.#runStream(call), headers: call.responseHeaders };
  }

  #call(method: DescMethod, source: RequestSource, options: CallOptions): Call {
    const plan = this.#plans.get(method);
    if (plan === undefined) throw new AppError("UNIMPLEMENTED");
    const streams = method.methodKind !== "unary";
    if (streams === "decode" in source) throw new AssertionError(`${plan.name} is ${method.methodKind}`);
    const requestId = requestIdFrom(options.headers) ?? this.#ids.next(this.#clock.nowMs());
    return new Call(plan, requestId, source, options);
  }
}

// biome-ignore lint/correctness/useYield: a stream that fails before its first message.
async function* unimplemented(): AsyncIterable<never> {
  throw new AppError("UNIMPLEMENTED");
}

/** Outermost first; the same at every mount. 401 comes before 403, and 403 before 400. */
function chain(options: DispatcherOptions): Interceptor[] {
  const { clock, log, metrics, credentials } = options;
  return [
    logAndMetrics({ clock, log, metrics }),
    errors({ log, clock }),
    deadline({ clock }),
    admitClient(options),
    authenticate({
      credentials,
      serviceTokens: options.serviceTokens,
      partners: options.partners,
      demoOrganizationId: options.demoOrganizationId,
    }),
    authorize({ credentials, clock, usage: options.usage }),
    watchCredential({ credentials, clock }),
    validate(),
    idempotency({ ledger: options.ledger, log, clock }),
  ];
}

async function handleUnary(call: Call): Promise<Message> {
  const handler = call.plan.handler as ErasedUnaryHandler;
  return create(call.method.output, await handler(call.request as Message, call));
}

async function* handleStream(call: Call): AsyncIterable<Message> {
  const handler = call.plan.handler as ErasedStreamHandler;
  try {
    for await (const init of handler(call.request as Message, call)) yield create(call.method.output, init);
    if (call.requestFailure !== undefined) throw call.requestFailure;
  } finally {
    // A handler may leave a read of the request stream pending; that read ends with the call.
    if (call.request instanceof Interruptible) await call.request.return();
  }
}
