// Tests that reads of a person with much data yield to the event loop. Statements on SQLite never leave the thread,
// so only slices of the work turn the event loop.
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { BehaviorService } from "@muster/contracts/muster/events/v1/behavior_service_pb";
import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import { EventTypeService } from "@muster/contracts/muster/events/v1/event_type_service_pb";
import { ExportService } from "@muster/contracts/muster/events/v1/export_service_pb";
import { ProfileService } from "@muster/contracts/muster/events/v1/profile_service_pb";
import { type Clock, type OrganizationId, shardOf, systemClock, uuidToBytes } from "@muster/core";
import type { Database, Transaction } from "@muster/db";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EventsUnderTest, newOrganization } from "./events-under-test.ts";

const VIEWS = 6000;
const EVENTS_AT_ONCE = 3000;
const TURNS_MIN = 20;
/** Time passes with each reading of the clock, so that slices do not depend on the machine. */
let ticks = 0;
const clock: Clock = {
  nowMs: () => systemClock.nowMs(),
  sleep: (...args) => systemClock.sleep(...args),
  monotonicMs: () => {
    ticks += 1;
    return ticks;
  },
};

describe("reads of a person with many events", () => {
  let events: EventsUnderTest;
  let organizationId: OrganizationId;
  let as: { organizationId: OrganizationId };
  let profileId: string;

  beforeAll(async () => {
    events = await EventsUnderTest.open("sqlite", { clock });
    organizationId = newOrganization();
    as = { organizationId };
    const now = Date.now();
    for (let start = 0; start < VIEWS; start += EVENTS_AT_ONCE) {
      const views = Array.from({ length: EVENTS_AT_ONCE }, (_, index) => ({
        identity: { case: "userId" as const, value: "u" },
        name: "page.viewed",
        properties: JSON.stringify({ name: `Page ${start + index} with a name of fifty characters or so` }),
        timestamp: timestampFromMs(now - 60_000 - 90_000 * (start + index)),
      }));
      await events.call(EventService.method.batchRecordEvents, { events: views }, as);
    }
    const { profiles } = await events.call(ProfileService.method.listProfiles, {}, as);
    profileId = profiles[0]?.id ?? "";
  }, 120_000);
  afterAll(() => events.close());

  async function turnsDuring(run: () => Promise<unknown>): Promise<number> {
    let turns = 0;
    let isDone = false;
    const count = (): void => {
      turns += 1;
      if (!isDone) setImmediate(count);
    };
    setImmediate(count);
    await run();
    isDone = true;
    return turns;
  }

  test("the summary of page views", async () => {
    const turns = await turnsDuring(async () => {
      const { getTrackedUserSummary } = BehaviorService.method;
      const summary = await events.call(getTrackedUserSummary, { userId: "u" }, as);
      expect(summary.numberPagesViewedInTheLast7Days).toBe(BigInt(VIEWS));
    });
    expect(turns).toBeGreaterThan(TURNS_MIN);
  });

  test("points, although the person has many other event names", { timeout: 120_000 }, async () => {
    const names = Array.from({ length: 5200 }, (_, index) => ({
      identity: { case: "userId" as const, value: "many" },
      name: index === 0 ? "PURCHASE" : `seen ${index}`,
    }));
    for (const some of [names.slice(0, 2600), names.slice(2600)]) {
      await events.call(EventService.method.batchRecordEvents, { events: some }, as);
    }
    // More types than one statement names.
    for (let index = 0; index < 16; index += 1) {
      const type = { name: `type ${index}`, price: 1 };
      await events.call(EventTypeService.method.createEventType, type, as);
    }
    const { listTrackedUserPoints } = BehaviorService.method;
    const turns = await turnsDuring(async () => {
      const { data } = await events.call(listTrackedUserPoints, { userId: "many" }, as);
      expect(data).toMatchObject([{ user: "many", points: 10 }]);
    });
    expect(turns).toBeGreaterThan(TURNS_MIN);
  });

  test("an export", async () => {
    const exports = events.client(ExportService, as);
    const turns = await turnsDuring(async () => {
      let bytes = 0;
      for await (const { data } of exports.getProfileExport({ profileId })) bytes += data.byteLength;
      expect(bytes).toBeGreaterThan(0);
    });
    expect(turns).toBeGreaterThan(TURNS_MIN);
  });

  test("a scan for another service", async () => {
    let scanned = 0;
    const turns = await turnsDuring(async () => {
      const shard = shardOf(organizationId, profileId);
      const profileIds = [uuidToBytes(profileId)];
      const request = { organizationId: uuidToBytes(organizationId), shard, profileIds, profileLimit: 10 };
      for await (const { part } of events.feed.scanProfileEvents(request)) {
        if (part.case === "profile") scanned += part.value.events.length;
      }
    });
    expect(scanned).toBe(VIEWS);
    expect(turns).toBeGreaterThan(TURNS_MIN);
  });
});

test("the transaction of a large batch yields between its stages", { timeout: 120_000 }, async () => {
  let isInside = false;
  let turns = 0;
  const watched = (database: Database): Database =>
    new Proxy(database, {
      get(target, key) {
        const value = Reflect.get(target, key, target);
        if (key !== "transaction") return typeof value === "function" ? value.bind(target) : value;
        return (body: (trx: Transaction) => Promise<unknown>) =>
          target.transaction(async (trx) => {
            isInside = true;
            const count = (): void => {
              if (!isInside) return;
              turns += 1;
              setImmediate(count);
            };
            setImmediate(count);
            return body(trx).finally(() => {
              isInside = false;
            });
          });
      },
    });
  const slow: Clock = { ...clock, monotonicMs: () => 5 * clock.monotonicMs() };
  const events = await EventsUnderTest.open("sqlite", { clock: slow, wrap: watched });
  const sent = Array.from({ length: 1000 }, (_, index) => ({
    identity: { case: "userId" as const, value: `${index}` },
    name: "page.viewed",
    eventId: `${index}`,
  }));
  const as = { organizationId: newOrganization() };
  await events.call(EventService.method.batchRecordEvents, { events: sent }, as);
  await events.close();
  // The stages: the plan, profiles, events, alerts and read models.
  expect(turns).toBeGreaterThanOrEqual(5);
});
