// Calls that record, list and tail tracked events.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import type { EventInputSchema } from "@muster/contracts/muster/events/v1/tracked_event_pb";
import type { Recorder } from "../harness/recorder.ts";
import { type Script, secondsAgo, UNKNOWN_ID } from "./script.ts";

type EventInit = MessageInitShape<typeof EventInputSchema>;

function event(userId: string, name: string, more: EventInit = {}): EventInit {
  return { identity: { case: "userId", value: userId }, name, ...more };
}

async function events(calls: Recorder): Promise<void> {
  const { recordEvent, recordProfileEvent } = EventService.method;
  const dated = event("ada", "product.viewed", {
    properties: '{"price":3.5,"tags":["a"]}',
    eventId: "e-1",
    timestamp: secondsAgo(calls, 30),
  });
  const { event: stored } = await calls.ok(recordEvent, { event: dated });
  await calls.ok(recordEvent, { event: dated });
  await calls.refused(recordEvent, { event: { ...dated, name: "product.bought" } });
  await calls.ok(
    recordEvent,
    { event: event("ada", "cart.added", { eventId: "undated" }) },
    { idempotencyKey: "k" },
  );
  await calls.ok(
    recordEvent,
    { event: event("ada", "cart.added", { eventId: "undated" }) },
    { idempotencyKey: "k" },
  );
  await calls.ok(recordEvent, {
    event: { identity: { case: "anonymousId", value: "a-1" }, name: "page.viewed" },
  });
  await calls.refused(recordEvent, {});
  await calls.refused(recordEvent, { event: { name: "x" } });
  await calls.refused(recordEvent, { event: event("ada", "x", { properties: "no json" }) });
  await calls.refused(recordEvent, { event: event("ada", "x") }, { key: "reader" });
  await calls.refused(recordEvent, {
    event: { identity: { case: "profileId", value: UNKNOWN_ID }, name: "x" },
  });
  const profileId = stored?.profileId ?? "";
  await calls.ok(recordProfileEvent, { profileId, name: "order.completed", properties: '{"total":12}' });
  await calls.refused(recordProfileEvent, { profileId: UNKNOWN_ID, name: "order.completed" });
  await calls.refused(recordProfileEvent, { profileId, name: "" });
  await batches(calls, dated);
  await lists(calls, profileId);
  await streams(calls, profileId);
}

async function batches(calls: Recorder, repeated: EventInit): Promise<void> {
  const { batchRecordEvents } = EventService.method;
  const items = [
    repeated,
    event("bob", "product.viewed"),
    { name: "nobody" },
    event("cleo", "x", { properties: "1" }),
  ];
  await calls.ok(batchRecordEvents, { events: items }, { idempotencyKey: "batch" });
  await calls.ok(batchRecordEvents, { events: items }, { idempotencyKey: "batch" });
  await calls.ok(batchRecordEvents, { events: [] });
  const unreadableEvents = [{ index: 0, field: "name", message: "must be a string" }];
  await calls.ok(batchRecordEvents, { events: [{}, event("bob", "y")], unreadableEvents });
  await calls.refused(batchRecordEvents, { events: items }, { key: "reader" });
  await calls.refused(batchRecordEvents, { events: Array.from({ length: 5001 }, () => ({})) });
}

async function lists(calls: Recorder, profileId: string): Promise<void> {
  const { listEvents } = EventService.method;
  const { nextPageToken } = await calls.ok(listEvents, { profileId, pageSize: 2 });
  await calls.ok(listEvents, { profileId, pageSize: 2, pageToken: nextPageToken });
  await calls.ok(listEvents, { profileId, name: ["cart.added"], from: secondsAgo(calls, 3600) });
  await calls.refused(listEvents, { profileId: UNKNOWN_ID });
  await calls.ok(listEvents, { profileId, from: secondsAgo(calls, 1), to: secondsAgo(calls, 9) });
  await calls.refused(listEvents, { profileId, pageToken: "nonsense" });
}

async function streams(calls: Recorder, profileId: string): Promise<void> {
  const { ingestEvents, tailEvents, recordEvent } = EventService.method;
  const ingested = ["dan", "eve"].map((user, index) => ({
    sequence: BigInt(index + 1),
    event: event(user, "login"),
  }));
  await calls.stream(ingestEvents, [...ingested, { sequence: 3n, event: { name: "nobody" } }], { take: 10 });
  await calls.stream(ingestEvents, [{ sequence: 5n, event: event("dan", "login") }, { sequence: 7n }], {
    take: 10,
  });
  await calls.stream(ingestEvents, ingested, { key: "reader", take: 10 });
  const record = () => calls.ok(recordEvent, { event: event("ada", "cart.added") });
  const [, last] = await calls.stream(tailEvents, [{ names: ["cart.added"] }], {
    take: 2,
    after: new Map([[1, record]]),
  });
  await calls.ok(recordEvent, { event: event("ada", "cart.emptied") });
  await calls.stream(tailEvents, [{ profileId, resumeToken: last?.resumeToken ?? "" }], { take: 2 });
  await calls.stream(tailEvents, [{ resumeToken: "nonsense" }], { take: 1 });
  await calls.stream(tailEvents, [{ profileId: UNKNOWN_ID }], { take: 1 });
  await calls.stream(tailEvents, [{}], { anonymous: true, take: 1 });
}

export const eventScripts: readonly Script[] = [{ service: EventService, run: events }];
