// Builds the modules that run in this process and puts each behind its dispatcher.
import {
  type AddApiKeyUsage,
  ApiKeyUsageReporter,
  CachingCredentialVerifier,
  type CredentialLookup,
  remoteApiKeyUsage,
  remoteCredentials,
  ServiceTokens,
} from "@muster/authz";
import type { Config } from "@muster/config";
import { CredentialService } from "@muster/contracts/muster/identity/v1/credential_service_pb";
import { assert, type Clock, type IdSource } from "@muster/core";
import type { Database } from "@muster/db";
import { IdempotencyLedger } from "@muster/idempotency";
import type { Logger } from "@muster/log";
import type { Metrics } from "@muster/metrics";
import type { RateLimiter } from "@muster/rate-limits";
import { createClient, createDispatcher, type Dispatcher, withServiceToken } from "@muster/rpc";
import {
  deriveKey,
  type ModuleDefinition,
  type Platform,
  type ServiceName,
  type ThreadPool,
  type Worker,
} from "@muster/runtime";
import { type EventType, eventsModuleWith } from "@muster/service-events";
import { ownApiKeyUsage, ownCredentials } from "@muster/service-identity";
import type { OpenPlatform } from "../platform/platform.ts";
import { modules, servicesOf } from "../targets.ts";
import { loginSettings } from "./login-settings.ts";
import type { ServiceDirectory } from "./service-directory.ts";

export interface BuildDeps {
  readonly config: Config;
  /** The catalog of every organization starts with these event types. */
  readonly eventCatalog: readonly EventType[];
  readonly platform: OpenPlatform;
  /** Receives the built services. */
  readonly directory: ServiceDirectory;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly threads: ThreadPool;
  readonly limiter: RateLimiter;
  /** Port of this process's HTTP server. */
  readonly httpPort: number;
}

export interface BuiltServices {
  readonly dispatchers: readonly Dispatcher[];
  /** In start order. */
  readonly workers: readonly Worker[];
}

export async function buildServices(deps: BuildDeps): Promise<BuiltServices> {
  const instanceId = deps.ids.next(deps.clock.nowMs());
  const dispatchers: Dispatcher[] = [];
  const workers: Worker[] = [];
  for (const service of servicesOf(deps.config.targets)) {
    const modulePlatform = platformOf(service, instanceId, deps);
    const module = await definitionOf(service, deps).build(modulePlatform);
    const usage = new ApiKeyUsageReporter({
      ...modulePlatform,
      reporterId: deps.ids.next(deps.clock.nowMs()),
      add: usageOf(service, modulePlatform),
    });
    const dispatcher = createDispatcher({
      implementations: module.services,
      serviceName: service,
      clock: deps.clock,
      ids: deps.ids,
      log: modulePlatform.log,
      metrics: deps.metrics,
      credentials: modulePlatform.credentials,
      serviceTokens: modulePlatform.serviceTokens,
      partners: module.partners,
      demoOrganizationId: deps.platform.demo?.organizationId,
      limiter: deps.limiter,
      usage,
      ledger: new IdempotencyLedger({ ...modulePlatform, key: modulePlatform.key("idempotency") }),
    });
    deps.directory.add(service, dispatcher);
    dispatchers.push(dispatcher);
    // First, because the first worker stops last.
    workers.push(usage, ...module.workers);
  }
  return { dispatchers, workers };
}

function definitionOf(service: ServiceName, { eventCatalog }: BuildDeps): ModuleDefinition {
  return service === "events" ? eventsModuleWith(eventCatalog) : modules[service];
}

/** The keys of a use differ by service, so that a response sealed by a service opens in no other service. */
function platformOf(
  service: ServiceName,
  instanceId: string,
  { config, platform, directory, clock, ids, log, metrics, threads, httpPort }: BuildDeps,
): Platform {
  const database = platform.databases.get(service);
  assert(database !== undefined, `${service} has no database`);
  const tokens = serviceTokens(service, platform.secret, clock);
  const caller = (target: ServiceName) => withServiceToken(directory.callerOf(target), tokens);
  return {
    clock,
    ids,
    log: log.child({ service }),
    metrics,
    bus: platform.bus,
    database,
    caller,
    credentials: new CachingCredentialVerifier({
      lookups: lookupsOf(service, database, caller, clock),
      clock,
      broadcasts: platform.bus,
      log: log.child({ service }),
      graceMs: config.identityGraceMs,
    }),
    serviceTokens: tokens,
    mail: platform.mail,
    threads,
    key: (use) => deriveKey(platform.secret, `${service}/${use}`),
    ownKey: (use) => deriveKey(ownSecretOf(service, platform), `${service}/${use}`),
    instanceId,
    exclusive: platform.isExclusive,
    settings: {
      demoOrganizationId: platform.demo?.organizationId,
      backlogItemsMax: config.backlogItemsMax,
      tracking: {
        clockOffsetMs: config.trackingClockOffsetMs,
        placeholderIds: config.trackingPlaceholderIds,
        usersPerAnonymousIdMax: config.trackingUsersPerAnonymousIdMax,
      },
      publicUrl: config.publicUrl ?? localUrl(config.httpHost, httpPort),
      organizationsPerUserMax: config.organizationsPerUserMax,
      login: loginSettings(config),
    },
  };
}

/** Identity has a secret of its own. */
function ownSecretOf(service: ServiceName, { secret, identitySecret }: OpenPlatform): Uint8Array {
  if (service !== "identity") return secret;
  assert(identitySecret !== undefined, "identity runs without its secret");
  return identitySecret;
}

/** A server that listens on every address is reached under the address of this machine. */
function localUrl(host: string, port: number): string {
  if (host === "0.0.0.0" || host === "::") return `http://127.0.0.1:${port}`;
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** Identity reads its own tables; other services call identity. */
function lookupsOf(
  service: ServiceName,
  database: Database,
  caller: Platform["caller"],
  clock: Clock,
): readonly CredentialLookup[] {
  if (service === "identity") return ownCredentials(database, clock);
  return remoteCredentials(createClient(CredentialService, caller("identity")), clock);
}

function usageOf(service: ServiceName, { database, clock, caller }: Platform): AddApiKeyUsage {
  if (service === "identity") return ownApiKeyUsage(database, clock);
  return remoteApiKeyUsage(createClient(CredentialService, caller("identity")), clock);
}

/** All services share the key, so any service can verify any other's token. */
export function serviceTokens(service: string, secret: Uint8Array, clock: Clock): ServiceTokens {
  return new ServiceTokens({ service, key: deriveKey(secret, "service-tokens"), clock });
}
