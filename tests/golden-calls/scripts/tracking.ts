// Calls as the tracking SDKs send them.
import { TrackingService } from "@muster/contracts/muster/events/v1/tracking_service_pb";
import type { Recorder } from "../harness/recorder.ts";
import type { Script } from "./script.ts";

async function tracking(calls: Recorder): Promise<void> {
  const { identify, track, screen, group, alias } = TrackingService.method;
  await calls.ok(track, {
    call: { anonymousId: "a-1", event: "product.viewed", messageId: "m-1", properties: '{"price":3}' },
  });
  await calls.ok(track, {
    call: { anonymousId: "a-1", event: "product.viewed", messageId: "m-1", properties: '{"price":3}' },
  });
  await calls.refused(track, { call: { anonymousId: "a-1" } });
  await calls.refused(track, { call: { userId: "ada", event: "x", timestamp: "yesterday" } });
  const traits = '{"email":"ada@example.test","name":"Ada","plan":"gold"}';
  await calls.ok(identify, { call: { userId: "ada", anonymousId: "a-1", messageId: "m-2", traits } });
  await calls.ok(identify, { call: { userId: "bob", anonymousId: "a-1" } }, { idempotencyKey: "bob" });
  await calls.ok(identify, { call: { userId: "bob", anonymousId: "a-1" } }, { idempotencyKey: "bob" });
  await calls.refused(identify, { call: { traits: "[]" } });
  await calls.refused(identify, { call: { userId: "ada" } }, { key: "reader" });
  await calls.ok(screen, { call: { userId: "ada", name: "Start", category: "Main" } });
  await calls.refused(screen, {});
  await calls.ok(group, { call: { userId: "ada", groupId: "acme", traits: '{"seats":3}' } });
  await calls.refused(group, { call: { userId: "ada" } });
  await calls.ok(alias, { call: { userId: "cleo", previousId: "ada" } });
  await calls.ok(track, { call: { anonymousId: "a-2", event: "product.viewed" } });
  await calls.ok(alias, { call: { userId: "cleo", previousId: "a-2" } });
  await calls.refused(alias, { call: { userId: "cleo", previousId: "undefined" } });
  await calls.refused(alias, { call: { userId: "cleo" } });
  await pages(calls);
  await batches(calls);
}

async function pages(calls: Recorder): Promise<void> {
  const { page } = TrackingService.method;
  await calls.ok(page, { userId: "ada", name: "/home", timestamp: "2026-01-01T00:00:00Z" });
  await calls.ok(page, {
    sdkUserId: "ada",
    sdkMessageId: "p-1",
    name: "/docs",
    properties: '{"path":"/docs"}',
  });
  await calls.refused(page, { userId: "ada" });
  await calls.refused(page, { userId: "ada", name: "/home", timestamp: "soon" });
  await calls.refused(page, { name: "/nobody" });
}

async function batches(calls: Recorder): Promise<void> {
  const { batch, import: importCalls } = TrackingService.method;
  const sent = new Date(calls.nowMs - 60_000).toISOString();
  const items = [
    { type: "identify", userId: "dan", traits: '{"plan":"free"}', messageId: "b-1" },
    { type: "track", userId: "dan", event: "login", originalTimestamp: sent, sentAt: sent },
    { type: "dance", userId: "dan" },
    { type: "track", event: "nobody" },
  ];
  await calls.ok(batch, { batch: items, sentAt: sent });
  await calls.refused(batch, { batch: [] });
  await calls.refused(batch, { batch: items }, { key: "reader" });
  const past = "2020-02-02T02:02:02Z";
  await calls.ok(importCalls, { batch: items.slice(0, 2).map((item) => ({ ...item, timestamp: past })) });
  await calls.ok(importCalls, { batch: items });
  await calls.refused(importCalls, { batch: [] });
}

export const trackingScripts: readonly Script[] = [{ service: TrackingService, run: tracking }];
