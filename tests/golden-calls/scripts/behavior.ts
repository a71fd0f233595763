// Calls about points, summaries, and the catalog of event types.
import { BehaviorService } from "@muster/contracts/muster/events/v1/behavior_service_pb";
import { EventTypeService } from "@muster/contracts/muster/events/v1/event_type_service_pb";
import { TrackingService } from "@muster/contracts/muster/events/v1/tracking_service_pb";
import type { Recorder } from "../harness/recorder.ts";
import type { Script } from "./script.ts";

async function behavior(calls: Recorder): Promise<void> {
  const { recordTrackedUserEvent, listTrackedUserPoints, getTrackedUserSummary } = BehaviorService.method;
  const timestamp = BigInt(Math.floor(calls.nowMs / 1000));
  const login = { userId: "ada", eventType: "LOGIN", timestamp };
  await calls.ok(recordTrackedUserEvent, login, { idempotencyKey: "login" });
  await calls.ok(recordTrackedUserEvent, login, { idempotencyKey: "login" });
  await calls.refused(recordTrackedUserEvent, login);
  await calls.ok(recordTrackedUserEvent, { ...login, eventType: "PURCHASE" });
  await calls.ok(recordTrackedUserEvent, { ...login, userId: "bob" });
  await calls.refused(recordTrackedUserEvent, { ...login, eventType: "DANCE" });
  await calls.refused(recordTrackedUserEvent, { userId: "ada", eventType: "LOGIN" });
  await calls.refused(recordTrackedUserEvent, login, { key: "reader" });
  await calls.ok(listTrackedUserPoints, {});
  await calls.ok(listTrackedUserPoints, { userId: "ada", eventType: "PURCHASE" });
  await calls.ok(listTrackedUserPoints, { userId: "nobody" });
  await calls.refused(listTrackedUserPoints, { pageToken: "nonsense" });
  for (const [seconds, name] of [
    [600, "/home"],
    [540, "/docs"],
    [60, "/docs"],
  ] as const) {
    const at = new Date(calls.nowMs - seconds * 1000).toISOString();
    await calls.ok(TrackingService.method.page, { userId: "ada", name, timestamp: at });
  }
  await calls.ok(getTrackedUserSummary, { userId: "ada" });
  await calls.ok(getTrackedUserSummary, { userId: "nobody" }).catch(() => undefined);
  await calls.refused(getTrackedUserSummary, { userId: "ada" }, { key: "reader" });
}

async function eventTypes(calls: Recorder): Promise<void> {
  const { listEventTypes, createEventType, getEventType } = EventTypeService.method;
  const { updateEventType, deleteEventType } = EventTypeService.method;
  const share = { name: "SHARE", description: "Shared a page", price: 2.5 };
  await calls.ok(createEventType, share, { idempotencyKey: "share" });
  await calls.ok(createEventType, share, { idempotencyKey: "share" });
  await calls.refused(createEventType, share);
  await calls.refused(createEventType, { name: "", price: 1 });
  await calls.refused(createEventType, { name: "FREE" });
  await calls.refused(createEventType, { name: "FINE", price: 0.000_000_1 });
  await calls.refused(createEventType, share, { key: "reader" });
  const { nextPageToken } = await calls.ok(listEventTypes, { pageSize: 2 });
  await calls.ok(listEventTypes, { pageSize: 2, pageToken: nextPageToken });
  await calls.refused(listEventTypes, { pageToken: "nonsense" });
  await calls.ok(getEventType, { name: "LOGIN" });
  await calls.refused(getEventType, { name: "NOTHING" });
  await calls.ok(updateEventType, {
    name: "LOGIN",
    eventType: { price: 3 },
    updateMask: { paths: ["price"] },
  });
  await calls.ok(updateEventType, { name: "SHARE", eventType: { description: "Shared" } });
  await calls.refused(updateEventType, { name: "SHARE", eventType: {}, updateMask: { paths: ["name"] } });
  await calls.refused(updateEventType, { name: "NOTHING", eventType: { price: 3 } });
  await calls.ok(deleteEventType, { name: "LOGIN" });
  await calls.ok(deleteEventType, { name: "SHARE" });
  await calls.refused(deleteEventType, { name: "SHARE" });
}

export const behaviorScripts: readonly Script[] = [
  { service: BehaviorService, run: behavior },
  { service: EventTypeService, run: eventTypes },
];
