// The segments service's composition root: the only file that constructs its parts.
import { SegmentAuditService } from "@muster/contracts/muster/segments/v1/segment_audit_service_pb";
import { SegmentPrivacyService } from "@muster/contracts/muster/segments/v1/segment_privacy_service_pb";
import { SegmentService } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import { PageTokens } from "@muster/core";
import { AnswerEraser, IdempotencySweeper } from "@muster/idempotency";
import { Outbox, OutboxRelay, OutboxTail, ShardConsumer } from "@muster/outbox";
import { implement, type ServiceImplementation } from "@muster/rpc";
import type { Module, ModuleDefinition, Platform, Worker } from "@muster/runtime";
import { AuditMetrics } from "./audit/audit-metrics.ts";
import { auditSegments } from "./audit/audit-segments.ts";
import { Auditor } from "./audit/auditor.ts";
import { RawEventSource } from "./audit/raw-profiles.ts";
import { backtestSegment } from "./backtest/backtest-segment.ts";
import { announcementsOf } from "./changes/announcements.ts";
import { Announcer } from "./changes/announcer.ts";
import { watchSegment } from "./changes/watch-segment.ts";
import { batchCheckMemberships } from "./checks/batch-check.ts";
import { listSegmentDependencies } from "./checks/list-dependencies.ts";
import { Consistency } from "./consistency.ts";
import type { SegmentsDeps } from "./deps.ts";
import { ERASED_TOPIC, Erasures } from "./erasure/erasures.ts";
import { EventsFeed } from "./events-feed.ts";
import { explainMembership } from "./explain/explain-membership.ts";
import { SegmentsFolder, WORK_TOPIC } from "./folder.ts";
import { listProfileSegments } from "./memberships/list-profile-segments.ts";
import { listSegmentMembers } from "./memberships/list-segment-members.ts";
import { estimateSegmentCost } from "./preview/estimate-cost.ts";
import { previewSegment } from "./preview/preview-segment.ts";
import { ScanTurns } from "./preview/scan-turns.ts";
import { listMemberships } from "./privacy/list-memberships.ts";
import { reserveRetention } from "./privacy/reserve-retention.ts";
import { createSegment } from "./segments/create-segment.ts";
import { DefinitionsCache } from "./segments/definitions-cache.ts";
import { deleteSegment } from "./segments/delete-segment.ts";
import { getSegment } from "./segments/get-segment.ts";
import { listSegments } from "./segments/list-segments.ts";
import { OrganizationTimeZones } from "./segments/organization-time-zone.ts";
import { updateSegment } from "./segments/update-segment.ts";
import { SegmentsMetrics } from "./segments-metrics.ts";
import { Derivations } from "./workers/derive-profiles.ts";
import { Timers } from "./workers/drain-timers.ts";
import { Purges } from "./workers/purge-segments.ts";
import { Sweeps } from "./workers/sweep-memberships.ts";

export const segmentsModule: ModuleDefinition = {
  name: "segments",
  migrations: new URL("../migrations/", import.meta.url),
  async build(platform: Platform): Promise<Module> {
    const { bus, clock, database, ids, log } = platform;
    const metrics = new SegmentsMetrics(platform.metrics);
    const feed = new EventsFeed(platform.caller("events"), clock);
    const definitions = new DefinitionsCache();
    const outbox = new Outbox({ ...platform, service: "segments" });
    const relay = new OutboxRelay({ ...platform, service: "segments", outbox });
    const announcer = new Announcer(outbox);
    const watches = new OutboxTail({
      ...{ ...platform, outbox, decode: announcementsOf },
      gauge: { name: "muster_segments_watches", help: "Watches attached to this process." },
    });
    const timers = new Timers({ announcer, clock, database, definitions, metrics });
    const derivations = new Derivations({ announcer, clock, database, definitions, feed, log, metrics });
    const purges = new Purges({ announcer, clock, database, definitions });
    const folder = new SegmentsFolder({
      announcer,
      bus,
      clock,
      database,
      definitions,
      metrics,
      timers,
      derivations,
      purges,
      sweeps: new Sweeps(database),
    });
    const consumer = new ShardConsumer({
      ...{ database, bus, folder, clock, ids, log },
      producer: feed,
      source: "events",
      // Durable: after a change of this name, all messages are applied again.
      consumer: "segments",
      metrics: platform.metrics,
      instanceId: platform.instanceId,
      exclusive: platform.exclusive,
    });
    const erasures = new Erasures({
      ...{ bus, clock, consumer, database, feed, log },
      answers: new AnswerEraser(platform.key("idempotency")),
      services: [SegmentService],
    });
    bus.onBroadcast(ERASED_TOPIC, () => watches.forget());
    const consistency = new Consistency({ bus, clock, consumer, database, feed, metrics });
    const raw = new RawEventSource(platform.caller("events"), clock);
    const auditor = new Auditor({ clock, database, raw, metrics: new AuditMetrics(platform.metrics) });
    const pageTokens = new PageTokens(platform.key("page-tokens"));
    const deps: SegmentsDeps = {
      ...{ announcer, bus, clock, consistency, database, feed, ids, pageTokens, watches },
      timeZones: new OrganizationTimeZones(platform.caller("identity"), clock),
    };
    return {
      services: implementations(deps, auditor),
      // Started in this order and stopped in reverse, so that the last commits of the consumer are announced.
      workers: [
        outbox,
        relay,
        wakeOnWork(platform, folder, consumer),
        consumer,
        erasures,
        new IdempotencySweeper({ database, clock, log }),
      ],
    };
  },
};

function implementations(deps: SegmentsDeps, auditor: Auditor): ServiceImplementation[] {
  const scanTurns = new ScanTurns();
  return [
    implement(SegmentAuditService, { auditSegments: auditSegments(auditor) }),
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
      previewSegment: previewSegment(deps, scanTurns),
      backtestSegment: backtestSegment(deps, scanTurns),
      estimateSegmentCost: estimateSegmentCost(deps, scanTurns),
    }),
  ];
}

/** Wakes the owners of shards when a replica or an RPC of this process adds work. */
function wakeOnWork(platform: Platform, folder: SegmentsFolder, consumer: ShardConsumer): Worker {
  let stopListening: (() => void) | undefined;
  return {
    name: "segments.wake",
    async start() {
      stopListening = platform.bus.onBroadcast(WORK_TOPIC, () => {
        folder.look();
        consumer.wake();
      });
    },
    async stop() {
      stopListening?.();
    },
  };
}
