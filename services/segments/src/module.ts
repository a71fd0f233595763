// The segments service's composition root: the only file that constructs its parts.

import { SegmentPrivacyService } from "@muster/contracts/muster/segments/v1/segment_privacy_service_pb";
import { SegmentService } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import { SegmentVerificationService } from "@muster/contracts/muster/segments/v1/segment_verification_service_pb";
import { PageTokens } from "@muster/core";
import { IdempotencyWorker, ResponseEraser } from "@muster/idempotency";
import { Outbox, OutboxRelay, OutboxTail, ShardConsumer } from "@muster/outbox";
import { implement, type ServiceImplementation } from "@muster/rpc";
import {
  ConcurrencyLimit,
  type Module,
  type ModuleDefinition,
  type Platform,
  type Worker,
} from "@muster/runtime";
import { announcementsOf } from "./announcements/announcements.ts";
import { Announcer } from "./announcements/announcer.ts";
import { backtestSegment } from "./backtest/backtest-segment.ts";
import { ERASED_TOPIC, ErasureWorker } from "./erasure/erasure-worker.ts";
import { EventsFeed } from "./events/events-feed.ts";
import { explainMembership } from "./explain/explain-membership.ts";
import { Consistency } from "./handlers/consistency.ts";
import type { SegmentsDeps } from "./handlers/deps.ts";
import { batchCheckMemberships } from "./membership-queries/batch-check-memberships.ts";
import { listProfileSegments } from "./membership-queries/list-profile-segments.ts";
import { listSegmentMembers } from "./membership-queries/list-segment-members.ts";
import { SweepWorker } from "./memberships/sweep-worker.ts";
import { lockOrganization } from "./organizations/organization-store.ts";
import { OrganizationTimeZones } from "./organizations/organization-time-zones.ts";
import { estimateSegmentCost } from "./preview/estimate-cost.ts";
import { previewSegment } from "./preview/preview-segment.ts";
import { SCAN_LIMIT } from "./preview/scan-profiles.ts";
import { listMemberships } from "./privacy/list-memberships.ts";
import { reserveRetention } from "./privacy/reserve-retention.ts";
import { SegmentProjection } from "./projection/segment-projection.ts";
import { TimerWorker } from "./projection/timer-worker.ts";
import { RebuildWorker } from "./rebuild/rebuild-worker.ts";
import { DefinitionsCache } from "./rule-versions/definitions-cache.ts";
import { publishRemoved } from "./rule-versions/publish-removed.ts";
import { PurgeWorker } from "./rule-versions/purge-worker.ts";
import { switchFinishedRules } from "./rule-versions/rule-switch.ts";
import { createSegment } from "./segments/create-segment.ts";
import { deleteSegment } from "./segments/delete-segment.ts";
import { getSegment } from "./segments/get-segment.ts";
import { listSegmentDependencies } from "./segments/list-segment-dependencies.ts";
import { listSegments } from "./segments/list-segments.ts";
import { updateSegment } from "./segments/update-segment.ts";
import { SegmentsMetrics } from "./segments-metrics.ts";
import { WORK_TOPIC } from "./topics.ts";
import { RawEventSource } from "./verification/raw-profiles.ts";
import { SegmentVerifier } from "./verification/segment-verifier.ts";
import { VerificationMetrics } from "./verification/verification-metrics.ts";
import { verifySegments } from "./verification/verify-segments.ts";
import { watchSegment } from "./watches/watch-segment.ts";

interface ProjectionParts {
  readonly announcer: Announcer;
  readonly feed: EventsFeed;
  readonly metrics: SegmentsMetrics;
}

export const segmentsModule: ModuleDefinition = {
  name: "segments",
  migrations: new URL("../migrations/", import.meta.url),
  async build(platform: Platform): Promise<Module> {
    const { bus, clock, database, ids, log } = platform;
    const metrics = new SegmentsMetrics(platform.metrics);
    const feed = new EventsFeed(platform.caller("events"), clock);
    const outbox = new Outbox({ ...platform, service: "segments" });
    const relay = new OutboxRelay({ ...platform, service: "segments", outbox });
    const announcer = new Announcer(outbox);
    const watches = new OutboxTail({
      ...{ ...platform, outbox, decode: announcementsOf },
      gauge: { name: "muster_segments_watches", help: "Watches attached to this process." },
    });
    const projection = buildProjection(platform, { announcer, feed, metrics });
    const consumer = new ShardConsumer({
      ...{ database, bus, projection, clock, ids, log },
      producer: feed,
      source: "events",
      // Durable: after a change of this name, all messages are applied again.
      consumer: "segments",
      metrics: platform.metrics,
      instanceId: platform.instanceId,
      exclusive: platform.exclusive,
    });
    const erasures = new ErasureWorker({
      ...{ bus, clock, consumer, database, feed, log },
      responses: new ResponseEraser(platform.key("idempotency")),
      services: [SegmentService],
    });
    bus.onBroadcast(ERASED_TOPIC, () => watches.dropReads());
    const consistency = new Consistency({ bus, clock, consumer, database, feed, metrics });
    const raw = new RawEventSource(platform.caller("events"), clock);
    const verifier = new SegmentVerifier({
      clock,
      database,
      raw,
      metrics: new VerificationMetrics(platform.metrics),
    });
    const pageTokens = new PageTokens(platform.key("page-tokens"));
    const deps: SegmentsDeps = {
      ...{ announcer, bus, clock, consistency, database, feed, ids, pageTokens, watches },
      timeZones: new OrganizationTimeZones(platform.caller("identity"), clock),
    };
    return {
      services: implementations(deps, verifier),
      // Started in this order and stopped in reverse, so that the last commits of the consumer are announced.
      workers: [
        outbox,
        relay,
        wakeOnWork(platform, projection, consumer),
        consumer,
        erasures,
        new IdempotencyWorker({ database, clock, log }),
      ],
    };
  },
};

/** The projection with its workers. */
function buildProjection(
  { bus, clock, database, log }: Platform,
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
    ruleVersions: {
      loadProvisioned: (db, organizationId) => definitions.loadProvisioned(db, organizationId),
      lockOrganization,
      publishRemoved: (trx, profiles, nowMs) => publishRemoved(trx, announcer, profiles, nowMs),
      switchFinishedRules: (trx, organizationId) => switchFinishedRules(trx, organizationId, announcer),
    },
  });
  const purges = new PurgeWorker({ announcer, clock, database, definitions });
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

function implementations(deps: SegmentsDeps, verifier: SegmentVerifier): ServiceImplementation[] {
  const scanLimit = new ConcurrencyLimit(SCAN_LIMIT);
  return [
    implement(SegmentVerificationService, { verifySegments: verifySegments(verifier) }),
    implement(SegmentPrivacyService, {
      reserveRetention: reserveRetention(deps),
      listMemberships: listMemberships(deps),
    }),
    implement(SegmentService, {
      createSegment: createSegment(deps),
      getSegment: getSegment(deps),
      listSegments: listSegments(deps),
      updateSegment: updateSegment(deps),
      deleteSegment: deleteSegment(deps),
      listSegmentMembers: listSegmentMembers(deps),
      listProfileSegments: listProfileSegments(deps),
      watchSegment: watchSegment(deps),
      batchCheckMemberships: batchCheckMemberships(deps),
      listSegmentDependencies: listSegmentDependencies(deps),
      explainMembership: explainMembership(deps),
      previewSegment: previewSegment(deps, scanLimit),
      backtestSegment: backtestSegment(deps, scanLimit),
      estimateSegmentCost: estimateSegmentCost(deps, scanLimit),
    }),
  ];
}

/** Wakes the owners of shards when a replica or an RPC of this process adds work. */
function wakeOnWork(platform: Platform, projection: SegmentProjection, consumer: ShardConsumer): Worker {
  let stopListening: (() => void) | undefined;
  return {
    name: "segments.wake",
    async start() {
      stopListening = platform.bus.onBroadcast(WORK_TOPIC, () => {
        projection.wake();
        consumer.wake();
      });
    },
    async stop() {
      stopListening?.();
    },
  };
}
