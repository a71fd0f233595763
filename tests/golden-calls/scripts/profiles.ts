// Calls about profiles: creating, changing, merging, and what an organization keeps for how long.
import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import { ProfileService } from "@muster/contracts/muster/events/v1/profile_service_pb";
import { RetentionService } from "@muster/contracts/muster/events/v1/retention_service_pb";
import type { Recorder } from "../harness/recorder.ts";
import { type Script, secondsAgo, UNKNOWN_ID } from "./script.ts";

const DAY_SECONDS = 86_400;

async function profiles(calls: Recorder): Promise<void> {
  const { createProfile, getProfile, listProfiles, updateProfile } = ProfileService.method;
  const ada = { userId: "ada", email: "Ada@Example.test", name: "Ada", traits: '{"plan":"gold","age":36}' };
  const { profile } = await calls.ok(createProfile, ada, { idempotencyKey: "ada" });
  await calls.ok(createProfile, ada, { idempotencyKey: "ada" });
  await calls.refused(createProfile, ada);
  await calls.refused(createProfile, { name: "Nobody" });
  await calls.refused(createProfile, { userId: "x", traits: "[1]" });
  await calls.refused(createProfile, { userId: "x", email: "no address" });
  await calls.refused(createProfile, { userId: "x" }, { key: "reader" });
  const { profile: second } = await calls.ok(createProfile, { anonymousId: "a-1" });
  const profileId = profile?.id ?? "";
  await calls.ok(getProfile, { profileId }, { key: "reader" });
  await calls.refused(getProfile, { profileId: UNKNOWN_ID });
  const { nextPageToken } = await calls.ok(listProfiles, { pageSize: 1 });
  await calls.ok(listProfiles, { pageSize: 1, pageToken: nextPageToken });
  await calls.ok(listProfiles, { email: "ada@example.test" });
  await calls.ok(listProfiles, { anonymousId: "nobody" });
  await calls.refused(listProfiles, { pageSize: 2, pageToken: nextPageToken, userId: "ada" });
  await calls.ok(updateProfile, { profileId, profile: { name: "Ada L", traits: '{"plan":"free"}' } });
  await calls.ok(updateProfile, { profileId, profile: {}, updateMask: { paths: ["name"] } });
  await calls.ok(updateProfile, { profileId, profile: { anonymousId: "a-2" } });
  await calls.refused(updateProfile, { profileId, profile: { anonymousId: "a-1" } });
  await calls.refused(updateProfile, { profileId, profile: {}, updateMask: { paths: ["create_time"] } });
  await calls.refused(updateProfile, { profileId: UNKNOWN_ID, profile: { name: "X" } });
  await merges(calls, profileId, second?.id ?? "");
}

async function merges(calls: Recorder, into: string, profileId: string): Promise<void> {
  const { mergeProfile, unmergeProfile, getProfile } = ProfileService.method;
  await calls.ok(EventService.method.recordProfileEvent, { profileId, name: "cart.added" });
  await calls.ok(mergeProfile, { profileId, into }, { idempotencyKey: "merge" });
  await calls.ok(getProfile, { profileId });
  await calls.refused(mergeProfile, { profileId: into, into });
  await calls.refused(mergeProfile, { profileId: UNKNOWN_ID, into });
  await calls.refused(mergeProfile, { profileId, into: "" });
  await calls.ok(EventService.method.recordProfileEvent, { profileId, name: "order.completed" });
  await calls.ok(unmergeProfile, { profileId });
  await calls.refused(unmergeProfile, { profileId });
  await calls.refused(unmergeProfile, { profileId }, { key: "reader" });
}

async function retention(calls: Recorder): Promise<void> {
  const { getRetention, updateRetention } = RetentionService.method;
  const { recordEvent } = EventService.method;
  await calls.ok(getRetention, {});
  await calls.refused(getRetention, {}, { key: "reader" });
  for (const days of [40, 2]) {
    await calls.ok(recordEvent, {
      event: {
        identity: { case: "userId", value: "ada" },
        name: "page.viewed",
        properties: '{"name":"/"}',
        timestamp: secondsAgo(calls, days * DAY_SECONDS),
      },
    });
  }
  await calls.ok(updateRetention, { retention: { rawEventDays: 30 } });
  await calls.pass("1 minute", 60_000);
  await calls.ok(updateRetention, {
    retention: { aggregateDays: 31 },
    updateMask: { paths: ["aggregate_days"] },
  });
  await calls.refused(updateRetention, { retention: { rawEventDays: 36_501 } });
  await calls.refused(updateRetention, { retention: {}, updateMask: { paths: ["update_time"] } });
  await calls.refused(updateRetention, { retention: { rawEventDays: 1 } }, { key: "reader" });
  await calls.ok(getRetention, {});
}

export const profileScripts: readonly Script[] = [
  { service: ProfileService, run: profiles },
  { service: RetentionService, run: retention },
];
