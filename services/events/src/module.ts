// Composes the events service. No other file constructs the parts of the service.

import { PageTokens } from "@muster/core";
import { IdempotencyWorker, ResponseEraser } from "@muster/idempotency";
import { Outbox, OutboxRelay, OutboxTail } from "@muster/outbox";
import type { ServiceImplementation } from "@muster/rpc";
import type { Module, ModuleDefinition, Platform } from "@muster/runtime";
import { AlertStep } from "./alert-evaluation/alert-step.ts";
import { lockAlertHistory } from "./alert-history/history-store.ts";
import { alertService } from "./alerts/alert-service.ts";
import { behaviorService } from "./behavior/behavior-service.ts";
import { ReadModelStep } from "./behavior/read-model-step.ts";
import { Catalog } from "./catalog/catalog.ts";
import type { EventType } from "./catalog/event-type.ts";
import { eventTypeService } from "./catalog/event-type-service.ts";
import { tailItemsOf } from "./domain-events/domain-events.ts";
import { ErasedLookup } from "./erased-events/erased-lookup.ts";
import { EventHasher } from "./erased-events/event-hash.ts";
import { erasureService } from "./erasure/erasure-service.ts";
import { ErasureWorker } from "./erasure/erasure-worker.ts";
import { exportService } from "./export/export-service.ts";
import { eventFeedService } from "./feed/event-feed-service.ts";
import type { EventsDeps } from "./handlers/deps.ts";
import { IngestQueue } from "./ingest/ingest-queue.ts";
import { RepeatedCalls } from "./ingest/repeated-calls.ts";
import { organizationErasure } from "./organization-erasure/organization-erasure-service.ts";
import { MonotonicIds } from "./profile-storage/monotonic-ids.ts";
import { profileService } from "./profiles/profile-service.ts";
import { retentionService } from "./retention/retention-service.ts";
import { RetentionWorker } from "./retention/retention-worker.ts";
import { ERASED_TOPIC } from "./topics.ts";
import { eventService } from "./tracked-events/event-service.ts";
import { trackingService } from "./tracking/tracking-service.ts";

export type { EventType } from "./catalog/event-type.ts";
export { CatalogError, readCatalog } from "./catalog/read-catalog.ts";

/** The events service without default event types. */
export const eventsModule: ModuleDefinition = {
  name: "events",
  migrations: new URL("../migrations/", import.meta.url),
  build: (platform) => build(platform, []),
};

/** The catalog of every organization starts with the default event types. */
export function eventsModuleWith(defaultEventTypes: readonly EventType[]): ModuleDefinition {
  return { ...eventsModule, build: (platform) => build(platform, defaultEventTypes) };
}

async function build(platform: Platform, defaultEventTypes: readonly EventType[]): Promise<Module> {
  const { clock, ids, metrics, database } = platform;
  const outbox = new Outbox({ ...platform, service: "events" });
  const relay = new OutboxRelay({ ...platform, service: "events", outbox });
  const profileIds = new MonotonicIds(ids);
  const hasher = new EventHasher(platform.key("erased-events"));
  const alerts = new AlertStep({ clock, ids: new MonotonicIds(ids) });
  const ingest = new IngestQueue({
    ...platform,
    profileIds,
    outbox,
    steps: [alerts, new ReadModelStep(ids)],
    erased: new ErasedLookup(hasher),
    backlogItemsMax: platform.settings.backlogItemsMax,
  });
  const tails = new OutboxTail({
    ...platform,
    outbox,
    decode: tailItemsOf,
    gauge: { name: "muster_tails", help: "Live tails attached to this process." },
  });
  const catalog = new Catalog(defaultEventTypes);
  const retention = new RetentionWorker(platform);
  const erasureWorker = new ErasureWorker({
    ...platform,
    outbox,
    hasher,
    responses: new ResponseEraser(platform.key("idempotency")),
    services: () => services.map(({ service }) => service),
  });
  const erasure = organizationErasure(platform);
  const deps: EventsDeps = {
    clock,
    ids,
    profileIds,
    metrics,
    database,
    outbox,
    ingest,
    repeatedCalls: new RepeatedCalls({ clock, ids, database, key: platform.key("repeated-calls") }),
    identityChangeHooks: [{ beforeChange: lockAlertHistory }],
    tails,
    pageTokens: new PageTokens(platform.key("page-tokens")),
    segments: platform.caller("segments"),
  };
  platform.bus.onBroadcast(ERASED_TOPIC, () => tails.dropReads());
  const services: readonly ServiceImplementation[] = [
    profileService(deps),
    eventService(deps),
    erasureService({ ...deps, erasures: erasureWorker }),
    trackingService(deps, platform.settings.tracking),
    retentionService({ ...deps, retention }),
    behaviorService({ ...deps, catalog }),
    eventTypeService({ ...deps, catalog }),
    alertService(deps),
    exportService(deps),
    eventFeedService(deps),
    erasure.service,
  ];
  const responses = new IdempotencyWorker(platform);
  // Started in this order and stopped in reverse, so that queued events are committed and published.
  const workers = [outbox, relay, ingest, erasureWorker, erasure.eraser, retention, responses];
  return { services, workers };
}
