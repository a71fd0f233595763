// Calls that other services and the operator make of segments.
import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import { SegmentPrivacyService } from "@muster/contracts/muster/segments/v1/segment_privacy_service_pb";
import { SegmentService } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import { SegmentVerificationService } from "@muster/contracts/muster/segments/v1/segment_verification_service_pb";
import { uuidToBytes } from "@muster/core";
import type { Recorder } from "../harness/recorder.ts";
import { type Script, UNKNOWN_ID } from "./script.ts";

/** A segment and a member of it. */
async function prepare(calls: Recorder): Promise<Buffer> {
  const segment = { name: "Buyers", eventName: "order.completed", minCount: 1, withinDays: 30 };
  await calls.ok(SegmentService.method.createSegment, segment);
  const identity = { case: "userId" as const, value: "ada" };
  const { event } = await calls.ok(EventService.method.recordEvent, {
    event: { identity, name: "order.completed" },
  });
  return uuidToBytes(event?.profileId ?? "");
}

async function verification(calls: Recorder): Promise<void> {
  const { verifySegments } = SegmentVerificationService.method;
  await prepare(calls);
  const request = { profiles: 10, seed: 3n, organizationId: uuidToBytes(calls.organizationId) };
  const as = { service: "operator", take: 20 };
  await calls.stream(verifySegments, [request], as);
  await calls.stream(verifySegments, [{ ...request, profiles: 0 }], as);
  await calls.stream(verifySegments, [request], { take: 20 });
}

async function privacy(calls: Recorder): Promise<void> {
  const { reserveRetention, listMemberships } = SegmentPrivacyService.method;
  const profileId = await prepare(calls);
  const organizationId = uuidToBytes(calls.organizationId);
  const as = { service: "events" };
  await calls.ok(listMemberships, { organizationId, profileId }, as);
  await calls.ok(listMemberships, { organizationId, profileId: uuidToBytes(UNKNOWN_ID) }, as);
  await calls.refused(listMemberships, { organizationId, profileId: Buffer.alloc(3) }, as);
  await calls.refused(listMemberships, { organizationId, profileId });
  await calls.ok(reserveRetention, { organizationId, rawEventDays: 60 }, as);
  await calls.refused(reserveRetention, { organizationId, rawEventDays: 10 }, as);
  await calls.refused(reserveRetention, { organizationId, rawEventDays: -1 }, as);
  await calls.refused(reserveRetention, { organizationId, rawEventDays: 60 }, { service: "gateway" });
}

export const segmentInternalScripts: readonly Script[] = [
  { service: SegmentVerificationService, run: verification },
  { service: SegmentPrivacyService, run: privacy },
];
