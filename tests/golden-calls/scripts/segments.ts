// Calls of SegmentService: definitions, members, checks, explanations, previews and watches.
import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import { ProfileService } from "@muster/contracts/muster/events/v1/profile_service_pb";
import { SegmentService } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import { all, inSegment, not, performed, trait } from "@muster/testkit/rules";
import type { Recorder } from "../harness/recorder.ts";
import { type Script, secondsAgo, UNKNOWN_ID } from "./script.ts";

const DAY_SECONDS = 86_400;
const DAY_MS = DAY_SECONDS * 1000;

function record(calls: Recorder, userId: string, name: string, agoSeconds = 10) {
  const timestamp = secondsAgo(calls, agoSeconds);
  const identity = { case: "userId" as const, value: userId };
  return calls.ok(EventService.method.recordEvent, { event: { identity, name, timestamp } });
}

async function segments(calls: Recorder): Promise<void> {
  await record(calls, "ada", "order.completed", 3 * DAY_SECONDS);
  const { event } = await record(calls, "ada", "product.viewed");
  await record(calls, "bob", "product.viewed");
  const profileId = event?.profileId ?? "";
  await definitions(calls);
  await members(calls, profileId);
  await trials(calls);
  await watches(calls);
  await updates(calls);
}

async function definitions(calls: Recorder): Promise<void> {
  const { createSegment, getSegment, listSegments, listSegmentDependencies } = SegmentService.method;
  const buyers = { name: "Buyers", eventName: "order.completed", minCount: 1 };
  await calls.ok(createSegment, buyers, { idempotencyKey: "buyers" });
  await calls.ok(createSegment, buyers, { idempotencyKey: "buyers" });
  await calls.refused(createSegment, buyers);
  await calls.ok(createSegment, {
    name: "Lookers today",
    announceBackfill: true,
    rule: all(performed("product.viewed").atLeast(1).within("1d")),
  });
  await calls.ok(createSegment, { name: "No buyers", rule: not(inSegment("buyers")) });
  await calls.refused(createSegment, { name: "No rule" });
  await calls.refused(createSegment, { ...buyers, rule: inSegment("buyers") });
  await calls.refused(createSegment, {
    name: "Unknown",
    rule: inSegment("x"),
  });
  await calls.refused(createSegment, {
    name: "Bad",
    rule: trait("traits.("),
  });
  await calls.refused(createSegment, buyers, { key: "reader" });
  await calls.ok(getSegment, { segmentId: "buyers" }, { key: "reader" });
  await calls.refused(getSegment, { segmentId: UNKNOWN_ID });
  const { nextPageToken } = await calls.ok(listSegments, { pageSize: 3 });
  await calls.ok(listSegments, { pageSize: 3, pageToken: nextPageToken });
  await calls.refused(listSegments, { pageToken: "nonsense" });
  await calls.ok(listSegmentDependencies, { segmentId: "buyers" });
  await calls.refused(listSegmentDependencies, { segmentId: "nothing" });
}

async function members(calls: Recorder, profileId: string): Promise<void> {
  const { listSegmentMembers, listProfileSegments, batchCheckMemberships } = SegmentService.method;
  const { explainMembership } = SegmentService.method;
  const { nextPageToken } = await calls.ok(listSegmentMembers, { segmentId: "lookers-today", pageSize: 1 });
  await calls.ok(listSegmentMembers, { segmentId: "lookers-today", pageSize: 1, pageToken: nextPageToken });
  await calls.refused(listSegmentMembers, { segmentId: "buyers", pageToken: nextPageToken });
  await calls.refused(listSegmentMembers, { segmentId: "nothing" });
  await calls.ok(listProfileSegments, { profileId });
  await calls.refused(listProfileSegments, { profileId: UNKNOWN_ID });
  const user = (segment: string, value: string) => ({ segment, profile: { case: "userId" as const, value } });
  const byId = { segment: "buyers", profile: { case: "profileId" as const, value: UNKNOWN_ID } };
  await calls.ok(batchCheckMemberships, {
    checks: [user("buyers", "ada"), user("buyers", "bob"), user("x", "ada"), user("buyers", "z"), byId],
  });
  await calls.refused(batchCheckMemberships, { checks: [{ segment: "buyers" }] });
  await calls.ok(explainMembership, { segmentId: "lookers-today", profileId });
  await calls.ok(explainMembership, { segmentId: "abandoned-cart", profileId });
  await calls.refused(explainMembership, { segmentId: "buyers", profileId: UNKNOWN_ID });
  await calls.refused(explainMembership, { segmentId: "x", profileId }, { key: "owner" });
}

async function trials(calls: Recorder): Promise<void> {
  const { previewSegment, backtestSegment, estimateSegmentCost } = SegmentService.method;
  await calls.ok(previewSegment, { rule: performed("product.viewed").atLeast(1), exact: true });
  await calls.refused(previewSegment, {});
  await calls.ok(backtestSegment, { segment: "buyers", days: 5 });
  await calls.refused(backtestSegment, { segment: "nothing" });
  await calls.refused(backtestSegment, { segment: "buyers", days: 91 });
  await calls.ok(estimateSegmentCost, { eventName: "product.viewed", minCount: 2, withinDays: 7 });
  await calls.refused(estimateSegmentCost, { minCount: 0 });
}

async function watches(calls: Recorder): Promise<void> {
  const { watchSegment } = SegmentService.method;
  const enter = () => record(calls, "cleo", "order.completed");
  const seen = await calls.stream(watchSegment, [{ segmentId: "buyers" }], {
    take: 2,
    after: new Map([[1, enter]]),
  });
  await record(calls, "dan", "order.completed");
  const resumeToken = seen.at(-1)?.resumeToken ?? "";
  await calls.stream(watchSegment, [{ segmentId: "buyers", resumeToken }], { take: 1 });
  await calls.stream(watchSegment, [{ segmentId: "nothing" }], { take: 1 });
  await calls.stream(watchSegment, [{ segmentId: "buyers" }], { anonymous: true, take: 1 });
}

async function updates(calls: Recorder): Promise<void> {
  const { updateSegment, deleteSegment, getSegment, listSegmentMembers } = SegmentService.method;
  await calls.ok(updateSegment, { segmentId: "buyers", segment: { name: "All buyers" } });
  const rule = { segmentId: "all-buyers", segment: { eventName: "product.viewed", minCount: 1 } };
  await calls.ok(updateSegment, { ...rule, validateOnly: true });
  await calls.ok(updateSegment, rule);
  await calls.ok(getSegment, { segmentId: "all-buyers" });
  await calls.ok(listSegmentMembers, { segmentId: "all-buyers" });
  await calls.refused(updateSegment, { segmentId: "all-buyers", segment: { name: "Late", version: 1 } });
  await calls.refused(updateSegment, {
    segmentId: "all-buyers",
    segment: {},
    updateMask: { paths: ["slug"] },
  });
  await calls.refused(updateSegment, { segmentId: "nothing", segment: { name: "X" } });
  const merged = await calls.ok(ProfileService.method.createProfile, { anonymousId: "a-1" });
  const { profiles } = await calls.ok(ProfileService.method.listProfiles, { userId: "ada" });
  const ids = { profileId: profiles[0]?.id ?? "", into: merged.profile?.id ?? "" };
  await calls.ok(ProfileService.method.mergeProfile, ids);
  await calls.ok(ProfileService.method.unmergeProfile, { profileId: ids.profileId });
  await calls.refused(deleteSegment, { segmentId: "all-buyers" });
  await calls.ok(deleteSegment, { segmentId: "no-buyers" });
  await calls.ok(deleteSegment, { segmentId: "all-buyers" });
  await calls.refused(deleteSegment, { segmentId: "all-buyers" });
  await calls.refused(deleteSegment, { segmentId: "lookers-today" }, { key: "reader" });
  await calls.pass("1 day", DAY_MS);
  await calls.ok(listSegmentMembers, { segmentId: "lookers-today" });
}

export const segmentScripts: readonly Script[] = [{ service: SegmentService, run: segments }];
