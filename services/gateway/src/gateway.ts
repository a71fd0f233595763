// Composes the gateway. The gateway owns no tables and contains no domain terms.
import type { IncomingMessage } from "node:http";
import { type DescMethod, type DescService, getOption } from "@bufbuild/protobuf";
import type { ServiceTokenPort } from "@muster/authz";
import { rest } from "@muster/contracts/muster/options/v1/options_pb";
import type { Clock, IdSource } from "@muster/core";
import type { Logger } from "@muster/log";
import type { StoredMails } from "@muster/mail";
import type { Metrics } from "@muster/metrics";
import {
  type Admission,
  AUTHORIZATION,
  type Caller,
  CONSISTENCY,
  createConnectHandler,
  IDEMPOTENCY_KEY,
  IDEMPOTENCY_REPLAYED,
  OpenCalls,
  RETRY_AFTER,
  serverGoingAway,
  TRACE_PARENT,
  TrustedProxies,
} from "@muster/rpc";
import type { Listener } from "@muster/runtime";
import { Transcoder } from "@muster/transcoder";
import { AccessLog } from "./access-log.ts";
import { ByteBudget } from "./byte-budget.ts";
import { mayActAsDemo } from "./callers/demo-access.ts";
import { Cors } from "./cors.ts";
import { HttpServer } from "./http-server.ts";
import { defaultLimits, type HttpLimits } from "./limits.ts";
import { boundedReads } from "./reads/bounded-reads.ts";
import { RequestHandler } from "./request-handler.ts";
import { ResponseWriter } from "./response-writer.ts";

export type { HttpLimits } from "./limits.ts";

export interface GatewayOptions {
  readonly host: string;
  /** 0 selects a free port. */
  readonly port: number;
  /** Services whose methods are served; internal methods are left out. */
  readonly services: readonly DescService[];
  /** Returns the caller of the method's service. */
  readonly caller: (method: DescMethod) => Caller;
  /** Authenticates and authorizes callers before a body is read. */
  readonly admission: Admission;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Serves /metrics on this port; by default true. */
  readonly servesMetrics?: boolean;
  readonly readiness: () => Promise<{ readonly isReady: boolean; readonly reason: string }>;
  /** The gateway's service tokens, which prove to services that a client is the one named. */
  readonly serviceTokens: ServiceTokenPort;
  /** Local callers without credentials may act for the demo organization. */
  readonly hasDemo?: boolean;
  /** Addresses and networks of proxies, whose X-Forwarded-For names the client. */
  readonly trustedProxies?: readonly string[];
  readonly corsOrigins?: readonly string[];
  readonly limits?: Partial<HttpLimits>;
  /** Address under which people reach the gateway. */
  readonly publicUrl?: string | undefined;
  /** Mails that /dev/mail shows to this machine. */
  readonly storedMails?: StoredMails | undefined;
}

export interface Gateway extends Listener {
  /** Resolves with the port once requests are accepted. */
  start(): Promise<number>;
}

/** Throws where a google.api.http rule is wrong or ambiguous. */
export function createGateway(options: GatewayOptions): Gateway {
  const { clock, host, port, admission, serviceTokens } = options;
  const limits = { ...defaultLimits, ...options.limits };
  const newRequestId = (): string => options.ids.next(clock.nowMs());
  const accessLog = new AccessLog(options);
  const caller = boundedReads(options.caller, clock, limits.readDeadlineMs);
  const calls = new OpenCalls();
  const handler = new RequestHandler({
    clock,
    limits,
    newRequestId,
    accessLog,
    metrics: options.servesMetrics === false ? undefined : options.metrics,
    readiness: options.readiness,
    bodies: new ByteBudget(limits.bodies),
    writer: new ResponseWriter({ limits, clock, budget: new ByteBudget(limits.responses) }),
    admission,
    calls,
    transcoder: createTranscoder(options.services, caller),
    cors: new Cors(options.corsOrigins ?? [], responseHeadersOf(options.services)),
    connect: createConnectHandler({ services: options.services, caller, admission, clock }),
    tokenFor(request) {
      return serviceTokens.mint({ actAsDemo: options.hasDemo === true && isForDemo(request) });
    },
    proxies: new TrustedProxies(options.trustedProxies),
    publicUrl: options.publicUrl,
    storedMails: options.storedMails,
  });
  const server = new HttpServer({
    host,
    port,
    limits,
    clock,
    newRequestId,
    handle: (request, response) => handler.handle(request, response),
    onClientError: ({ error, status }, requestId) =>
      accessLog.begin()({ requestId, method: "", route: undefined, status, error }),
  });
  return {
    name: "gateway",
    start: () => server.start(),
    notServing: () => server.startDraining(),
    stop: (timeoutMs) => {
      // Clients of endless streams connect elsewhere; all other calls may finish.
      calls.drain(serverGoingAway());
      return server.stop(timeoutMs, () => calls.cut(serverGoingAway()));
    },
  };
}

function isForDemo({ headers, socket: { remoteAddress } }: IncomingMessage): boolean {
  return headers.authorization === undefined && mayActAsDemo({ remoteAddress, headers });
}

/** The REST part alone: the routes, for a golden file or documentation, and their calls. */
export function createTranscoder(
  services: readonly DescService[],
  caller: (method: DescMethod) => Caller,
): Transcoder {
  return new Transcoder({
    services,
    caller: ({ method }) => caller(method),
    alias: { prefix: "/v1/", alias: "/api/" },
    queryMetadata: { consistency: { metadata: CONSISTENCY, values: ["eventual"] } },
    requestHeaders: [AUTHORIZATION, IDEMPOTENCY_KEY, CONSISTENCY, "accept-language", TRACE_PARENT],
    responseHeaders: [IDEMPOTENCY_REPLAYED, RETRY_AFTER],
  });
}

/** Response headers that single methods add. */
function responseHeadersOf(services: readonly DescService[]): string[] {
  const methods = services.flatMap((service) => service.methods);
  return [...new Set(methods.flatMap((method) => getOption(method, rest).responseHeaders))].sort();
}
