// Calls that other services make of events: positions, messages, scans and reports.

import { ErasureService } from "@muster/contracts/muster/events/v1/erasure_service_pb";
import { EventFeedService } from "@muster/contracts/muster/events/v1/event_feed_service_pb";
import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import { ProfileService } from "@muster/contracts/muster/events/v1/profile_service_pb";
import { type OrganizationId, shardOf, uuidToBytes } from "@muster/core";
import type { Recorder } from "../harness/recorder.ts";
import { type Script, secondsAgo, UNKNOWN_ID } from "./script.ts";

const SEGMENTS = { service: "segments" } as const;

async function eventFeed(calls: Recorder): Promise<void> {
  const { getPositions, readOutbox, reportApplied, reportErasure } = EventFeedService.method;
  const { profile } = await calls.ok(ProfileService.method.createProfile, {
    userId: "ada",
    email: "ada@x.test",
  });
  const { profile: other } = await calls.ok(ProfileService.method.createProfile, { anonymousId: "a-1" });
  const ada = profile?.id ?? "";
  const shard = shardOf(calls.organizationId as OrganizationId, ada);
  await calls.ok(EventService.method.recordProfileEvent, {
    profileId: ada,
    name: "product.viewed",
    properties: '{"price": 3}',
    timestamp: secondsAgo(calls, 60),
  });
  await calls.ok(getPositions, {}, SEGMENTS);
  await calls.refused(getPositions, {});
  const { envelopes } = await calls.ok(readOutbox, { shard, limit: 10 }, SEGMENTS);
  await calls.ok(readOutbox, { shard, afterPosition: envelopes.at(-1)?.position ?? 0n, limit: 10 }, SEGMENTS);
  await calls.refused(readOutbox, { shard: 16, limit: 10 }, SEGMENTS);
  await calls.refused(readOutbox, { shard, limit: 10 }, { service: "gateway" });
  await calls.ok(
    reportApplied,
    { consumer: "golden", shards: [{ shard, position: 1n, itemsThrough: 0n }] },
    SEGMENTS,
  );
  await calls.refused(reportApplied, { consumer: "" }, SEGMENTS);
  await scans(calls, ada, shard);
  await lookups(calls, [ada, other?.id ?? ""], shard);
  await calls.ok(ErasureService.method.eraseProfile, { profileId: ada });
  const { erasures } = await calls.ok(ErasureService.method.listErasures, {});
  const erasureId = uuidToBytes(erasures[0]?.id ?? "");
  const report = {
    erasureId,
    profileId: uuidToBytes(ada),
    places: [{ place: "segments.memberships", count: 2n }],
  };
  await calls.ok(reportErasure, { ...report, organizationId: uuidToBytes(calls.organizationId) }, SEGMENTS);
  await calls.refused(reportErasure, report, SEGMENTS);
}

async function scans(calls: Recorder, profileId: string, shard: number): Promise<void> {
  const { scanProfileEvents } = EventFeedService.method;
  const scan = { organizationId: uuidToBytes(calls.organizationId), shard, profileLimit: 10 };
  const as = { ...SEGMENTS, take: 10 };
  await calls.stream(scanProfileEvents, [scan], as);
  await calls.stream(scanProfileEvents, [{ ...scan, eventNames: ["nothing"], withoutEvents: true }], as);
  await calls.stream(scanProfileEvents, [{ ...scan, profileIds: [uuidToBytes(profileId)] }], as);
  await calls.stream(scanProfileEvents, [{ ...scan, profileLimit: 0 }], as);
  await calls.stream(scanProfileEvents, [scan], { take: 10 });
}

async function lookups(calls: Recorder, ids: readonly string[], shard: number): Promise<void> {
  const { batchGetProfiles, batchResolveProfiles, sampleProfiles } = EventFeedService.method;
  const organizationId = uuidToBytes(calls.organizationId);
  const profileIds = [...ids, UNKNOWN_ID].map((id) => uuidToBytes(id));
  await calls.ok(batchGetProfiles, { organizationId, profileIds }, SEGMENTS);
  await calls.refused(batchGetProfiles, { organizationId: Buffer.alloc(2), profileIds }, SEGMENTS);
  await calls.ok(batchResolveProfiles, { organizationId, userIds: ["ada", "nobody"], profileIds }, SEGMENTS);
  await calls.refused(batchResolveProfiles, { organizationId, profileIds: [Buffer.alloc(2)] }, SEGMENTS);
  await calls.ok(sampleProfiles, { organizationId, shard, limit: 5, seed: 7n }, SEGMENTS);
  await calls.refused(sampleProfiles, { organizationId, shard: -1, limit: 5 }, SEGMENTS);
}

export const eventsFeedScripts: readonly Script[] = [{ service: EventFeedService, run: eventFeed }];
