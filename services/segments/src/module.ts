// The segments service's composition root: the only file that constructs its parts.

import { SegmentService } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import { PageTokens } from "@muster/core";
import { IdempotencyWorker, ResponseEraser } from "@muster/idempotency";
import { Outbox, OutboxRelay, OutboxTail, ShardConsumer } from "@muster/outbox";
import type { Module, ModuleDefinition, Platform } from "@muster/runtime";
import { announcementsOf } from "./announcements/announcements.ts";
import { Announcer } from "./announcements/announcer.ts";
import { segmentService } from "./api/segment-service.ts";
import { ERASED_TOPIC, ErasureWorker } from "./erasure/erasure-worker.ts";
import { EventsFeed } from "./events/events-feed.ts";
import { Consistency } from "./handlers/consistency.ts";
import type { SegmentsDeps } from "./handlers/deps.ts";
import { SweepWorker } from "./memberships/sweep-worker.ts";
import { organizationErasure } from "./organization-erasure/organization-erasure-service.ts";
import { lockOrganization } from "./organizations/organization-store.ts";
import { OrganizationTimeZones } from "./organizations/organization-time-zones.ts";
import { segmentProvisioningService } from "./organizations/provision-segments.ts";
import { segmentPrivacyService } from "./privacy/segment-privacy-service.ts";
import { SegmentProjection } from "./projection/segment-projection.ts";
import { TimerWorker } from "./projection/timer-worker.ts";
import { WakeWorker } from "./projection/wake-worker.ts";
import { RebuildWorker } from "./rebuild-steps/rebuild-worker.ts";
import { DefinitionsCache } from "./rule-versions/definitions-cache.ts";
import { publishRemoved } from "./rule-versions/publish-removed.ts";
import { PurgeWorker } from "./rule-versions/purge-worker.ts";
import { switchFinishedRules } from "./rule-versions/rule-switch.ts";
import { withoutPublished } from "./rule-versions/rule-switch-changes.ts";
import { SegmentsMetrics } from "./segments-metrics.ts";
import { WORK_TOPIC } from "./topics.ts";
import { RawEventSource } from "./verification/raw-profiles.ts";
import { segmentVerificationService } from "./verification/segment-verification-service.ts";
import { SegmentVerifier } from "./verification/segment-verifier.ts";
import { VerificationMetrics } from "./verification/verification-metrics.ts";

interface ProjectionParts {
  readonly announcer: Announcer;
  readonly feed: EventsFeed;
  readonly metrics: SegmentsMetrics;
}

export const segmentsModule: ModuleDefinition = {
  name: "segments",
  migrations: new URL("../migrations/", import.meta.url),
  async build(platform: Platform): Promise<Module> {
    const { bus, clock, database, ids } = platform;
    const metrics = new SegmentsMetrics(platform.metrics);
    const feed = new EventsFeed(platform.caller("events"), clock);
    const outbox = new Outbox({ ...platform, service: "segments" });
    const relay = new OutboxRelay({ ...platform, service: "segments", outbox });
    const announcer = new Announcer(outbox, withoutPublished);
    const watches = new OutboxTail({
      ...platform,
      outbox,
      decode: announcementsOf,
      gauge: { name: "muster_segments_watches", help: "Watches attached to this process." },
    });
    const projection = buildProjection(platform, { announcer, feed, metrics });
    const consumer = new ShardConsumer({
      ...platform,
      projection,
      producer: feed,
      source: "events",
      // Durable: after a change of this name, all messages are applied again.
      consumer: "segments",
    });
    const erasures = new ErasureWorker({
      ...platform,
      consumer,
      feed,
      responses: new ResponseEraser(platform.key("idempotency")),
      services: [SegmentService],
    });
    const erasure = organizationErasure(platform);
    bus.onBroadcast(ERASED_TOPIC, () => watches.dropReads());
    const consistency = new Consistency({ bus, clock, consumer, database, feed, metrics });
    const verifier = buildVerifier(platform);
    const pageTokens = new PageTokens(platform.key("page-tokens"));
    const deps: SegmentsDeps = {
      announcer,
      bus,
      clock,
      consistency,
      database,
      feed,
      ids,
      pageTokens,
      threads: platform.threads,
      watches,
      timeZones: new OrganizationTimeZones(platform.caller("identity"), clock),
    };
    return {
      services: [
        segmentVerificationService(verifier),
        segmentPrivacyService(deps),
        segmentService(deps),
        segmentProvisioningService(deps),
        erasure.service,
      ],
      // Started in this order and stopped in reverse, so that the last commits of the consumer are announced.
      workers: [
        outbox,
        relay,
        new WakeWorker(bus, [projection, consumer]),
        consumer,
        erasures,
        erasure.eraser,
        new IdempotencyWorker(platform),
      ],
    };
  },
};

/** The projection with its workers. */
function buildProjection(
  { bus, clock, database, log, threads }: Platform,
  { announcer, feed, metrics }: ProjectionParts,
): SegmentProjection {
  const definitions = new DefinitionsCache();
  const timers = new TimerWorker({ announcer, clock, database, definitions, metrics });
  const rebuilds = new RebuildWorker({
    announcer,
    clock,
    database,
    feed,
    log,
    metrics,
    requestStep: () => bus.broadcast(WORK_TOPIC, new Uint8Array()),
    ruleVersions: {
      loadProvisioned: (db, organizationId) => definitions.loadProvisioned(db, organizationId),
      lockOrganization,
      publishRemoved: (trx, profiles, nowMs) => publishRemoved(trx, announcer, profiles, nowMs),
      switchFinishedRules: (trx, organizationId) => switchFinishedRules(trx, organizationId, announcer),
    },
    threads,
  });
  const purges = new PurgeWorker({
    announcer,
    clock,
    database,
    definitions,
    onMarked: () => rebuilds.wake(),
  });
  return new SegmentProjection({
    announcer,
    bus,
    clock,
    database,
    definitions,
    metrics,
    timers,
    rebuilds,
    purges,
    sweeps: new SweepWorker(database),
  });
}

function buildVerifier(platform: Platform): SegmentVerifier {
  const { clock, database } = platform;
  return new SegmentVerifier({
    clock,
    database,
    raw: new RawEventSource(platform.caller("events"), clock),
    metrics: new VerificationMetrics(platform.metrics),
  });
}
