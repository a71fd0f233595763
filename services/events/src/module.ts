// Composes the events service. No other file constructs the parts of the service.

import { EventFeedService } from "@muster/contracts/muster/events/v1/event_feed_service_pb";
import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import { ProfileService } from "@muster/contracts/muster/events/v1/profile_service_pb";
import { PageTokens } from "@muster/core";
import { IdempotencyWorker, ResponseEraser } from "@muster/idempotency";
import { Outbox, OutboxRelay, OutboxTail } from "@muster/outbox";
import { implement, type ServiceImplementation } from "@muster/rpc";
import type { ModuleDefinition, Platform } from "@muster/runtime";
import { AlertStep } from "./alert-evaluation/alert-step.ts";
import { lockAlertHistory } from "./alert-history/history-store.ts";
import { alertService } from "./alerts/alert-service.ts";
import { behaviorService } from "./behavior/behavior-service.ts";
import { ReadModelStep } from "./behavior/read-model-step.ts";
import { Catalog } from "./catalog/catalog.ts";
import { eventTypeService } from "./catalog/event-type-service.ts";
import type { EventsDeps } from "./deps.ts";
import { tailItemsOf } from "./domain-events.ts";
import { ErasedLookup } from "./erased-events/erased-lookup.ts";
import { EventHasher } from "./erased-events/event-hash.ts";
import { erasureService } from "./erasure/erasure-service.ts";
import { ERASED_TOPIC, ErasureWorker } from "./erasure/erasure-worker.ts";
import { reportErasure } from "./erasure/report-erasure.ts";
import { exportService } from "./export/export-service.ts";
import {
  batchGetProfiles,
  batchResolveProfiles,
  getPositions,
  readOutbox,
  reportApplied,
  sampleProfiles,
} from "./feed/event-feed.ts";
import { scanProfileEvents } from "./feed/scan-profile-events.ts";
import { IngestQueue } from "./ingest/ingest-queue.ts";
import { MonotonicIds } from "./profile-storage/monotonic-ids.ts";
import { createProfile } from "./profiles/create-profile.ts";
import { getProfile } from "./profiles/get-profile.ts";
import { listProfiles } from "./profiles/list-profiles.ts";
import { mergeProfile } from "./profiles/merge-profile.ts";
import { unmergeProfile } from "./profiles/unmerge-profile.ts";
import { updateProfile } from "./profiles/update-profile.ts";
import { retentionService } from "./retention/retention-service.ts";
import { RetentionWorker } from "./retention/retention-worker.ts";
import { batchRecordEvents } from "./tracked-events/batch-record-events.ts";
import { ingestEvents } from "./tracked-events/ingest-events.ts";
import { listEvents } from "./tracked-events/list-events.ts";
import { recordEvent, recordProfileEvent } from "./tracked-events/record-event.ts";
import { tailEvents } from "./tracked-events/tail-events.ts";
import { trackingService } from "./tracking/tracking-service.ts";

export { CatalogError, readCatalog } from "./catalog/read-catalog.ts";

export const eventsModule: ModuleDefinition = {
  name: "events",
  migrations: new URL("../migrations/", import.meta.url),
  async build(platform) {
    const { clock, ids, database, log } = platform;
    const outbox = new Outbox({ ...platform, service: "events" });
    const relay = new OutboxRelay({ ...platform, service: "events", outbox });
    const { backlogItemsMax, eventCatalog } = platform.settings;
    const profileIds = new MonotonicIds(ids);
    const hasher = new EventHasher(platform.key("erased-events"));
    const alerts = new AlertStep({ clock, ids: new MonotonicIds(ids) });
    const ingest = new IngestQueue({
      ...platform,
      profileIds,
      outbox,
      steps: [alerts, new ReadModelStep(ids)],
      erased: new ErasedLookup(hasher),
      backlogItemsMax,
    });
    const tails = new OutboxTail({
      ...{ ...platform, outbox, decode: tailItemsOf },
      gauge: { name: "muster_tails", help: "Live tails attached to this process." },
    });
    const pageTokens = new PageTokens(platform.key("page-tokens"));
    const catalog = new Catalog(eventCatalog);
    const retention = new RetentionWorker(platform);
    const erasureWorker = new ErasureWorker({
      ...{ ...platform, outbox, hasher },
      responses: new ResponseEraser(platform.key("idempotency")),
      services: () => services.map(({ service }) => service),
    });
    const deps: EventsDeps = {
      clock,
      ids,
      profileIds,
      database,
      outbox,
      ingest,
      identityChangeHooks: [{ beforeChange: lockAlertHistory }],
      tails,
      pageTokens,
      catalog,
      segments: platform.caller("segments"),
      erasures: erasureWorker,
      retention,
    };
    platform.bus.onBroadcast(ERASED_TOPIC, () => tails.dropReads());
    const services: readonly ServiceImplementation[] = implementations(deps, platform);
    return {
      services,
      // Started in this order and stopped in reverse, so that queued events are committed and published.
      workers: [
        outbox,
        relay,
        ingest,
        erasureWorker,
        retention,
        new IdempotencyWorker({ database, clock, log }),
      ],
    };
  },
};

function implementations(deps: EventsDeps, platform: Platform): readonly ServiceImplementation[] {
  return [
    implement(ProfileService, {
      createProfile: createProfile(deps),
      getProfile: getProfile(deps),
      listProfiles: listProfiles(deps),
      updateProfile: updateProfile(deps),
      mergeProfile: mergeProfile(deps),
      unmergeProfile: unmergeProfile(deps),
    }),
    implement(EventService, {
      recordEvent: recordEvent(deps),
      recordProfileEvent: recordProfileEvent(deps),
      batchRecordEvents: batchRecordEvents(deps),
      ingestEvents: ingestEvents(deps),
      listEvents: listEvents(deps),
      tailEvents: tailEvents(deps),
    }),
    erasureService(deps),
    trackingService(deps, platform.metrics),
    retentionService(deps),
    behaviorService(deps),
    eventTypeService(deps),
    alertService(deps),
    exportService(deps),
    implement(EventFeedService, {
      getPositions: getPositions(deps),
      readOutbox: readOutbox(deps),
      reportApplied: reportApplied(deps),
      scanProfileEvents: scanProfileEvents(deps),
      batchGetProfiles: batchGetProfiles(deps),
      batchResolveProfiles: batchResolveProfiles(deps),
      sampleProfiles: sampleProfiles(deps),
      reportErasure: reportErasure(deps),
    }),
  ];
}
