// The HTTP port: the gateway where it runs, else probes alone. Metrics have a port of their own in production.
import { CachingCredentialVerifier, remoteCredentials, remotePartnerVerifier } from "@muster/authz";
import type { Config } from "@muster/config";
import { CredentialService } from "@muster/contracts/muster/identity/v1/credential_service_pb";
import type { Clock, IdSource } from "@muster/core";
import type { Logger } from "@muster/log";
import type { Metrics } from "@muster/metrics";
import type { RateLimiter } from "@muster/rate-limits";
import { createAdmission, createClient, withServiceToken } from "@muster/rpc";
import type { Listener, Readiness } from "@muster/runtime";
import { createGateway } from "@muster/service-gateway";
import type { OpenPlatform } from "../platform/platform.ts";
import { portProblem } from "../start-error.ts";
import { contracts, serviceOf } from "../targets.ts";
import { serviceTokens } from "./build-services.ts";
import { startHealthServer } from "./health-server.ts";
import type { ServiceDirectory } from "./service-directory.ts";

export interface HttpListenerOptions {
  readonly config: Config;
  readonly platform: OpenPlatform;
  readonly directory: ServiceDirectory;
  readonly readiness: Readiness;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly log: Logger;
  readonly limiter: RateLimiter;
}

export type HttpListener = Listener & { readonly port: number };

export async function startHttpListener(options: HttpListenerOptions): Promise<HttpListener> {
  const { config, readiness } = options;
  const { httpHost: host, httpPort: port } = config;
  const metrics = config.metricsPort === 0 ? options.metrics : undefined;
  const started = config.targets.includes("gateway")
    ? startGateway(options)
    : startHealthServer({ name: "health", host, port, readiness, metrics });
  return started.catch((error: unknown) => {
    throw portProblem("HTTP", "MUSTER_HTTP_PORT", error);
  });
}

/** Undefined where the HTTP port serves the metrics. */
export async function startMetricsListener(config: Config, metrics: Metrics): Promise<Listener | undefined> {
  const { httpHost: host, metricsPort: port } = config;
  if (port === 0) return undefined;
  return startHealthServer({ name: "metrics", host, port, metrics }).catch((error: unknown) => {
    throw portProblem("metrics", "MUSTER_METRICS_PORT", error);
  });
}

async function startGateway(options: HttpListenerOptions): Promise<HttpListener> {
  const { config, platform, directory, readiness, clock } = options;
  const tokens = serviceTokens("gateway", platform.secret, clock);
  const identity = withServiceToken(directory.callerOf("identity"), tokens);
  const gateway = createGateway({
    ...options,
    host: config.httpHost,
    port: config.httpPort,
    services: Object.values(contracts).flat(),
    caller: (method) => directory.callerOf(serviceOf(method)),
    readiness: () => readiness.check(),
    admission: createAdmission({
      clock,
      credentials: new CachingCredentialVerifier({
        lookups: remoteCredentials(createClient(CredentialService, identity), clock),
        clock,
        broadcasts: platform.bus,
        log: options.log,
        graceMs: config.identityGraceMs,
      }),
      serviceTokens: tokens,
      partners: remotePartnerVerifier(createClient(CredentialService, identity), clock),
      demoOrganizationId: platform.demo?.organizationId,
      limiter: options.limiter,
    }),
    serviceTokens: tokens,
    hasDemo: platform.demo !== undefined,
    trustedProxies: config.trustedProxies,
    corsOrigins: config.corsOrigins,
    publicUrl: config.publicUrl,
    storedMails: platform.storedMails,
    servesMetrics: config.metricsPort === 0,
  });
  const port = await gateway.start();
  return {
    name: gateway.name,
    port,
    notServing: () => gateway.notServing(),
    stop: (timeoutMs) => gateway.stop(timeoutMs),
  };
}
