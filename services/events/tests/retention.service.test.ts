// Tests retention: the expiry of events, the results of scans, and the coordination with segments.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import type { ScanSnapshot } from "@muster/contracts/muster/events/v1/event_feed_service_pb";
import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import { RetentionService } from "@muster/contracts/muster/events/v1/retention_service_pb";
import type { ReserveRetentionRequest } from "@muster/contracts/muster/segments/v1/segment_privacy_service_pb";
import { bytesToUuid, type OrganizationId, type ProfileId, shardOf, uuidToBytes } from "@muster/core";
import type { Database } from "@muster/db";
import { AppError } from "@muster/errors";
import { createLogger } from "@muster/log";
import type { Caller } from "@muster/rpc";
import { FakeClock } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { RetentionWorker } from "../src/retention/retention-worker.ts";
import { EventsUnderTest, newOrganization } from "./events-under-test.ts";

const DAY_MS = 86_400_000;
const START_MS = Date.UTC(2026, 0, 1, 12);
const { getRetention, updateRetention } = RetentionService.method;
const { batchRecordEvents, listEvents, recordEvent } = EventService.method;

/** Records the calls to the segments service; `answer` runs during each call. */
class FakeSegmentsService implements Caller {
  readonly asked: { readonly organizationId: string; readonly rawEventDays: number }[] = [];
  response: () => Promise<void> = async () => {};

  async unary(...[method, request]: Parameters<Caller["unary"]>): ReturnType<Caller["unary"]> {
    const { organizationId, rawEventDays } = request as unknown as ReserveRetentionRequest;
    await this.response();
    this.asked.push({ organizationId: bytesToUuid(organizationId), rawEventDays });
    return { message: create(method.output), headers: new Map() };
  }

  stream(): never {
    throw new Error("no stream");
  }
}

/** Binds the methods of the database, so that a test can replace each method. */
function bound(database: Database): Database {
  return {
    engine: database.engine,
    reader: database.reader,
    transaction: (body, options) => database.transaction(body, options),
    snapshot: (body) => database.snapshot(body),
    nowMs: () => database.nowMs(),
    removeDeletedData: () => database.removeDeletedData(),
    ping: () => database.ping(),
    close: () => database.close(),
  };
}

describe.each(["sqlite", "mysql"] as const)("retention on %s", (engine) => {
  const clock = new FakeClock(START_MS);
  const segments = new FakeSegmentsService();
  let events: EventsUnderTest;
  let worker: RetentionWorker;

  beforeAll(async () => {
    events = await EventsUnderTest.open(engine, { clock, segments });
    // A change of the retention wakes the module's own worker, which would lease passes from the workers of the tests.
    const own = events.module.workers.find(({ name }) => name === "retention");
    if (own === undefined) throw new Error("the module has no retention worker");
    await own.stop();
    worker = workerOf(events);
  });
  afterAll(() => events.close());

  function workerOf(of: EventsUnderTest, database: Database = of.database): RetentionWorker {
    const log = createLogger({ level: "silent" });
    const throttle = { pauseMs: 0, pauseFactor: 0 };
    return new RetentionWorker({ database, clock, log, metrics: of.metrics, throttle });
  }

  const keep = (
    organizationId: OrganizationId,
    retention: MessageInitShape<typeof updateRetention.input>["retention"],
  ) => events.call(updateRetention, { retention: retention ?? {} }, { organizationId });

  async function send(
    organizationId: OrganizationId,
    sent: {
      readonly name: string;
      readonly at?: number;
      readonly id?: string;
      readonly user?: string;
      readonly properties?: string;
    },
  ): Promise<ProfileId> {
    const { name, at, id, user = "ada", properties } = sent;
    const request = {
      identity: { case: "userId" as const, value: user },
      name,
      ...(id !== undefined && { eventId: id }),
      ...(properties !== undefined && { properties }),
      ...(at !== undefined && { timestamp: timestampFromMs(at) }),
    };
    const { event } = await events.call(recordEvent, { event: request }, { organizationId });
    return event?.profileId as ProfileId;
  }

  async function names(organizationId: OrganizationId, profileId: ProfileId): Promise<string[]> {
    const { events: found } = await events.call(listEvents, { profileId }, { organizationId });
    return found.map(({ name }) => name).sort();
  }

  async function scan(organizationId: OrganizationId, profileId: ProfileId) {
    let snapshot: ScanSnapshot | undefined;
    const found: string[] = [];
    const request = {
      organizationId: uuidToBytes(organizationId),
      shard: shardOf(organizationId, profileId),
      profileIds: [uuidToBytes(profileId)],
      profileLimit: 10,
    };
    for await (const { part } of events.feed.scanProfileEvents(request)) {
      if (part.case === "snapshot") snapshot = part.value;
      if (part.case === "profile") found.push(...part.value.events.map(({ name }) => name));
    }
    return { completeSinceMs: Number(snapshot?.completeSinceMs), names: found.sort() };
  }

  test("keeps all data indefinitely by default", async () => {
    const organizationId = newOrganization();
    const { retention } = await events.call(getRetention, {}, { organizationId });
    expect(retention).toMatchObject({ $typeName: "muster.events.v1.Retention" });
    expect(retention?.rawEventDays).toBeUndefined();
    expect(retention?.completeSince).toBeUndefined();
    const profileId = await send(organizationId, { name: "old", at: 0 });
    await worker.purge();
    expect(await scan(organizationId, profileId)).toEqual({ completeSinceMs: 0, names: ["old"] });
  });

  test("expires an event when both receipt and instant are before the horizon", async () => {
    clock.setNowMs(START_MS);
    const organizationId = newOrganization();
    const profileId = await send(organizationId, { name: "undated", id: "u1" });
    await send(organizationId, { name: "late", at: START_MS - 400 * DAY_MS });
    await send(organizationId, { name: "ahead", at: START_MS + 40 * DAY_MS });
    await send(organizationId, { name: "before 1970", at: -5 * DAY_MS });
    const { retention } = await keep(organizationId, { rawEventDays: 30 });
    expect(retention).toMatchObject({ rawEventDays: 30 });
    await worker.purge();
    clock.setNowMs(START_MS + 30 * DAY_MS);
    await worker.purge();
    expect(await names(organizationId, profileId)).toEqual(["ahead", "before 1970", "late", "undated"]);
    expect(await scan(organizationId, profileId)).toMatchObject({ completeSinceMs: 0 });

    clock.setNowMs(START_MS + 31 * DAY_MS);
    await worker.purge();
    expect(await scan(organizationId, profileId)).toEqual({
      completeSinceMs: START_MS + DAY_MS,
      names: ["ahead"],
    });
    const after = await events.call(getRetention, {}, { organizationId });
    expect(timestampMs(after.retention?.completeSince ?? timestampFromMs(0))).toBe(START_MS + DAY_MS);
    // The client id of an undated event was deleted with the event, so the same id is a new event.
    await send(organizationId, { name: "another", id: "u1" });
    expect(await names(organizationId, profileId)).toEqual(["ahead", "another"]);

    clock.setNowMs(START_MS + 69 * DAY_MS);
    await worker.purge();
    expect(await names(organizationId, profileId)).toEqual(["ahead"]);
    clock.setNowMs(START_MS + 71 * DAY_MS);
    await worker.purge();
    expect(await names(organizationId, profileId)).toEqual([]);
  });

  test("visits a day with late events again when the events expire", async () => {
    clock.setNowMs(START_MS);
    const organizationId = newOrganization();
    const profileId = await send(organizationId, { name: "first", at: START_MS - 50 * DAY_MS });
    await keep(organizationId, { rawEventDays: 10 });
    for (let day = 1; day <= 5; day += 1) {
      clock.setNowMs(START_MS + day * DAY_MS);
      await worker.purge();
      await send(organizationId, { name: `late ${day}`, at: START_MS - 50 * DAY_MS + day });
    }
    const left: string[][] = [];
    for (let day = 11; day <= 16; day += 1) {
      clock.setNowMs(START_MS + day * DAY_MS);
      await worker.purge();
      left.push(await names(organizationId, profileId));
    }
    const all = ["late 1", "late 2", "late 3", "late 4", "late 5"];
    expect(left).toEqual([all, all.slice(1), all.slice(2), all.slice(3), all.slice(4), []]);
  });

  test("deletes thousands of events in batches; other organizations and newer events stay", async () => {
    clock.setNowMs(START_MS);
    const [ours, other] = [newOrganization(), newOrganization()];
    const sent = (user: string) =>
      Array.from({ length: 3000 }, (_, index) => ({
        identity: { case: "userId" as const, value: user },
        name: "n",
        eventId: `e${index}`,
        timestamp: timestampFromMs(START_MS - (index % 3) * DAY_MS),
      }));
    const { results } = await events.call(batchRecordEvents, { events: sent("a") }, { organizationId: ours });
    await events.call(batchRecordEvents, { events: sent("a") }, { organizationId: other });
    const profileId = results[0]?.profileId as ProfileId;
    await keep(ours, { rawEventDays: 7 });
    clock.setNowMs(START_MS + 7 * DAY_MS + 1);
    await send(ours, { name: "young", user: "a" });
    const before = await events.count("muster_retention_purged_rows_total");
    // A second replica at the same time deletes no row twice.
    await Promise.all([worker.purge(), workerOf(events).purge()]);
    expect(await names(ours, profileId)).toEqual(["young"]);
    expect((await events.count("muster_retention_purged_rows_total")) - before).toBe(3000);
    const rows = await events.database.reader("tracked_events").where("organization_id", uuidToBytes(other));
    expect(rows).toHaveLength(3000);
  });

  test("resumes a crashed purge after the lease expires", async () => {
    clock.setNowMs(START_MS);
    const organizationId = newOrganization();
    const sent = Array.from({ length: 2000 }, (_, index) => ({
      identity: { case: "userId" as const, value: "ada" },
      name: "n",
      eventId: `e${index}`,
      timestamp: timestampFromMs(START_MS - (index % 5) * DAY_MS),
    }));
    const { results } = await events.call(batchRecordEvents, { events: sent }, { organizationId });
    const profileId = results[0]?.profileId as ProfileId;
    await keep(organizationId, { rawEventDays: 1 });
    clock.setNowMs(START_MS + 2 * DAY_MS);
    let transactions = 0;
    const crashing: Database = {
      ...bound(events.database),
      transaction: (body) => {
        transactions += 1;
        return transactions > 4 ? Promise.reject(new Error("killed")) : events.database.transaction(body);
      },
    };
    await expect(workerOf(events, crashing).purge()).rejects.toThrow("killed");
    const left = async (): Promise<number> => {
      const rows = await events.database.reader("tracked_events").where({
        organization_id: uuidToBytes(organizationId),
        profile_id: uuidToBytes(profileId),
      });
      return rows.length;
    };
    const half = await left();
    expect(half).toBeGreaterThan(0);
    expect(half).toBeLessThan(2000);
    // `complete_since` already covers the deleted events.
    expect((await scan(organizationId, profileId)).completeSinceMs).toBe(START_MS + DAY_MS);
    await worker.purge();
    expect(await left()).toBe(half);
    clock.setNowMs(START_MS + 2 * DAY_MS + 60_000);
    await worker.purge();
    expect(await left()).toBe(0);
  });

  test("does not restore deleted events when the retention is extended, and deletes no more", async () => {
    clock.setNowMs(START_MS);
    const organizationId = newOrganization();
    const profileId = await send(organizationId, { name: "gone" });
    await keep(organizationId, { rawEventDays: 1 });
    clock.setNowMs(START_MS + 2 * DAY_MS);
    await worker.purge();
    await send(organizationId, { name: "kept" });
    const { retention } = await events.call(
      updateRetention,
      { retention: {}, updateMask: { paths: ["raw_event_days"] } },
      { organizationId },
    );
    expect(retention?.rawEventDays).toBeUndefined();
    clock.setNowMs(START_MS + 900 * DAY_MS);
    await worker.purge();
    expect(await scan(organizationId, profileId)).toEqual({
      completeSinceMs: START_MS + DAY_MS,
      names: ["kept"],
    });
  });

  test("deletes page views and alert history by aggregate_days, and keeps raw events", async () => {
    clock.setNowMs(START_MS);
    const [ours, other] = [newOrganization(), newOrganization()];
    const count = async (table: string, organizationId: OrganizationId): Promise<number> => {
      const rows = await events.database.reader(table).where("organization_id", uuidToBytes(organizationId));
      return rows.length;
    };
    const counts = async (organizationId: OrganizationId): Promise<number[]> => {
      const tables = ["page_view_hours", "alerts", "alert_history", "event_counts", "tracked_events"];
      return Promise.all(tables.map((table) => count(table, organizationId)));
    };
    const withdraw = { name: "withdraw", properties: '{"amount":"500.00","time":1}' };
    for (const organizationId of [ours, other]) {
      for (let day = 0; day < 3; day += 1) {
        await send(organizationId, { name: "page.viewed", at: START_MS - day * DAY_MS, user: "ada" });
      }
      await send(organizationId, withdraw);
    }
    await keep(ours, { aggregateDays: 8 });
    await worker.purge();
    const before = await counts(other);
    expect(before.every((rows) => rows > 0)).toBe(true);
    expect(await counts(ours)).toEqual(before);

    clock.setNowMs(START_MS + 7 * DAY_MS);
    await worker.purge();
    // Views of the day before yesterday; only whole days expire.
    expect(await count("page_view_hours", ours)).toBe(2);
    await send(ours, { ...withdraw, user: "bob" });
    clock.setNowMs(START_MS + 9 * DAY_MS + 1);
    await worker.purge();
    expect(await count("page_view_hours", ours)).toBe(0);
    // The alert of Bob.
    expect(await count("alerts", ours)).toBe(1);
    const [, , history, counted, raw] = await counts(ours);
    expect(history).toBe(before[2]);
    expect([counted, raw]).toEqual([(before[3] ?? 0) + 1, (before[4] ?? 0) + 1]);
    expect(await counts(other)).toEqual(before);
  });

  test("reserves a reduction in segments first, and an extension last", async () => {
    const organizationId = newOrganization();
    const days = async () =>
      (await events.call(getRetention, {}, { organizationId })).retention?.rawEventDays;
    const seen: (number | undefined)[] = [];
    segments.asked.length = 0;
    segments.response = async () => void seen.push(await days());
    await keep(organizationId, { rawEventDays: 30 });
    await keep(organizationId, { rawEventDays: 7 });
    await keep(organizationId, { rawEventDays: 7 });
    await keep(organizationId, { rawEventDays: 90 });
    await keep(organizationId, { rawEventDays: 0 });
    await keep(organizationId, { aggregateDays: 8 });
    segments.response = async () => {};
    expect(segments.asked.map(({ rawEventDays }) => rawEventDays)).toEqual([30, 7, 7, 90, 0]);
    expect(segments.asked.every((one) => one.organizationId === organizationId)).toBe(true);
    // The retention stored in events during each call.
    expect(seen).toEqual([undefined, 30, 7, 90, undefined]);
  });

  test("passes on a rejection or crash of segments without changes, and succeeds on the next call", async () => {
    const organizationId = newOrganization();
    await keep(organizationId, { rawEventDays: 90 });
    for (const error of [
      new AppError("RETENTION_TOO_SHORT", { details: { segments: "shoe-fans" } }),
      new AppError("UNAVAILABLE"),
    ]) {
      segments.response = async () => {
        throw error;
      };
      const refused = await keep(organizationId, { rawEventDays: 1, aggregateDays: 9 }).catch(
        (thrown: AppError) => thrown,
      );
      expect(refused).toMatchObject({ reason: error.reason, details: error.details });
      const { retention } = await events.call(getRetention, {}, { organizationId });
      expect(retention?.rawEventDays).toBe(90);
      expect(retention?.aggregateDays).toBeUndefined();
    }
    segments.response = async () => {};
    await keep(organizationId, { rawEventDays: 1 });
  });

  test("rejects one of two concurrent changes", async () => {
    const organizationId = newOrganization();
    let arrived = (): void => {};
    const reserveStarted = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    let finishReserve = (): void => {};
    const gate = new Promise<void>((resolve) => {
      finishReserve = resolve;
    });
    segments.response = () => {
      arrived();
      return gate;
    };
    const first = keep(organizationId, { rawEventDays: 30 });
    await reserveStarted;
    await expectReason(keep(organizationId, { rawEventDays: 60 }), "UNAVAILABLE");
    segments.response = async () => {};
    finishReserve();
    await first;
    const { retention } = await keep(organizationId, { rawEventDays: 60 });
    expect(retention?.rawEventDays).toBe(60);
  });

  test.each([
    [{ rawEventDays: -1 }, "retention.raw_event_days"],
    [{ rawEventDays: 36_501 }, "retention.raw_event_days"],
    [{ aggregateDays: 7 }, "retention.aggregate_days"],
    [{ aggregateDays: 36_501 }, "retention.aggregate_days"],
  ])("%j is refused", async (retention, field) => {
    const refused = keep(newOrganization(), retention);
    await expectReason(refused, "FIELD_INVALID", { fields: [{ field }] });
  });

  test("requires the permission, and is separate for each organization", async () => {
    const organizationId = newOrganization();
    const as = { organizationId, scopes: ["events.write"] };
    await expectReason(events.call(updateRetention, { retention: {} }, as), "PERMISSION_DENIED");
    await keep(organizationId, { rawEventDays: 30 });
    const other = await events.call(getRetention, {}, { organizationId: newOrganization() });
    expect(other.retention?.rawEventDays).toBeUndefined();
  });
});
