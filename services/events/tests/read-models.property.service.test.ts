// Compares the read models with a count over all raw events: after any load, at any instant, and after the
// models were built from stored events.
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { BehaviorService } from "@muster/contracts/muster/events/v1/behavior_service_pb";
import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import { type OrganizationId, uuidToBytes } from "@muster/core";
import type { Engine } from "@muster/db";
import { ENGINES, FakeClock } from "@muster/testkit";
import { checkProperty } from "@muster/testkit/check-property";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { RecentViews } from "../src/behavior/recent-views.ts";
import { buildReadModels } from "./build-read-models.ts";
import { EventsUnderTest, newOrganization } from "./events-under-test.ts";

const { batchRecordEvents } = EventService.method;
const { getTrackedUserSummary, listTrackedUserPoints } = BehaviorService.method;
const START_MS = Date.UTC(2026, 4, 4, 22, 10);
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const USERS = ["a", "b", "c"];
const PRICES: Readonly<Record<string, number>> = { LOGIN: 1, PURCHASE: 10, REFERRAL: 20 };

const sentEvent = fc.record(
  {
    user: fc.constantFrom(...USERS),
    name: fc.constantFrom("page.viewed", "page.viewed", "LOGIN", "PURCHASE", "seen"),
    // Up to nine days late, and up to two days in the future.
    agoMs: fc.oneof(
      fc.integer({ min: -48 * HOUR_MS, max: 216 * HOUR_MS }),
      fc.integer({ min: 0, max: 90 }).map((minutes) => minutes * MINUTE_MS),
    ),
    page: fc.constantFrom("Home", "home", "Pricing", "Ünï", ""),
    eventId: fc.constantFrom("1", "2", "3", "4"),
  },
  { requiredKeys: ["user", "name", "agoMs"] },
);
type SentEvent = typeof sentEvent extends fc.Arbitrary<infer T> ? T : never;

function toInput({ user, name, agoMs, page, eventId }: SentEvent) {
  return {
    identity: { case: "userId" as const, value: user },
    name,
    timestamp: timestampFromMs(START_MS - agoMs),
    properties: JSON.stringify({ ...(page !== undefined && { name: page }) }),
    ...(eventId !== undefined && { eventId }),
  };
}

interface RawEvent {
  readonly user: string;
  readonly name: string;
  readonly occurredMs: number;
  readonly page: unknown;
}

async function rawEvents(events: EventsUnderTest, organizationId: OrganizationId): Promise<RawEvent[]> {
  const rows = await events.database
    .reader("tracked_events as e")
    .join("profiles as p", (on) =>
      on.on("p.organization_id", "e.organization_id").andOn("p.profile_id", "e.profile_id"),
    )
    .where("e.organization_id", uuidToBytes(organizationId))
    .select<{ user_id: Buffer; name: Buffer; occurred_ms: number; properties: string }[]>(
      "p.user_id",
      "e.name",
      "e.occurred_ms",
      "e.properties",
    );
  return rows.map((row) => ({
    user: row.user_id.toString(),
    name: row.name.toString(),
    occurredMs: Number(row.occurred_ms),
    page: JSON.parse(row.properties).name,
  }));
}

/** The five fields of the contract, computed from the raw events. */
function referenceSummary(raw: readonly RawEvent[], userId: string, nowMs: number) {
  const recent = new RecentViews(nowMs);
  for (const { user, name, occurredMs, page } of raw) {
    if (user === userId && name === "page.viewed") recent.add(occurredMs, String(page ?? ""));
  }
  const { pagesViewed, minutesSpent, daysActive, mostViewedPage } = recent.summarize();
  return {
    numberPagesViewedInTheLast7Days: BigInt(pagesViewed),
    timeSpentOnSiteInLast7Days: BigInt(minutesSpent),
    numberOfDaysActiveInLast7Days: daysActive,
    ...(mostViewedPage !== undefined && { mostViewedPageInLast7Days: mostViewedPage }),
  };
}

function referencePoints(raw: readonly RawEvent[]): [string, number][] {
  const earning = raw.filter(({ name }) => PRICES[name] !== undefined);
  return [...Map.groupBy(earning, ({ user }) => user)]
    .map(([user, own]): [string, number] => [
      user,
      own.reduce((sum, { name }) => sum + (PRICES[name] ?? 0), 0),
    ])
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

describe.each(ENGINES)("read models on %s", (engine: Engine) => {
  const clock = new FakeClock(START_MS);
  let processes: [EventsUnderTest, EventsUnderTest];

  beforeAll(async () => {
    const first = await EventsUnderTest.open(engine, { clock });
    processes = [first, await EventsUnderTest.open(engine, { clock, beside: first })];
  });
  afterAll(async () => {
    for (const one of [...processes].reverse()) await one.close();
  });

  const send = (batch: readonly SentEvent[], organizationId: OrganizationId, through: number) =>
    processes[through % 2 === 0 ? 0 : 1].call(
      batchRecordEvents,
      { events: batch.map(toInput) },
      { organizationId },
    );
  const expectEqualToRaw = async (organizationId: OrganizationId, instants: readonly number[]) => {
    const [events] = processes;
    const raw = await rawEvents(events, organizationId);
    for (const nowMs of instants) {
      clock.setNowMs(nowMs);
      for (const userId of new Set(raw.map(({ user }) => user))) {
        const { $typeName, ...summary } = await events.call(
          getTrackedUserSummary,
          { userId },
          { organizationId },
        );
        expect(summary).toEqual({ userId, ...referenceSummary(raw, userId, nowMs) });
      }
    }
    const { data } = await events.call(listTrackedUserPoints, {}, { organizationId });
    expect(data.map(({ user, points }) => [user, points])).toEqual(referencePoints(raw));
    clock.setNowMs(START_MS);
  };

  test("equal a recount after random loads through two processes, at every instant", async () => {
    await checkProperty(
      fc.asyncProperty(
        fc.array(fc.array(sentEvent, { maxLength: 20 }), { minLength: 1, maxLength: 8 }),
        fc.array(fc.integer({ min: 0, max: 60 * HOUR_MS }), { maxLength: 2 }),
        async (batches, later) => {
          const organizationId = newOrganization();
          await Promise.all(batches.map((batch, index) => send(batch, organizationId, index)));
          // Sent once more, as clients without a response do.
          await send(batches[0] ?? [], organizationId, 1);
          await expectEqualToRaw(organizationId, [START_MS, ...later.map((ms) => START_MS + ms)]);
        },
      ),
      { numRuns: 25 },
    );
  });

  test("are rebuilt from raw events in every run, and grow correctly afterwards", async () => {
    const organizationId = newOrganization();
    const [early, later] = fc.sample(fc.array(sentEvent, { minLength: 300, maxLength: 300 }), {
      numRuns: 2,
      seed: 7,
    });
    await send(early ?? [], organizationId, 0);
    const { database } = processes[0];
    for (let run = 0; run < 2; run += 1) {
      await database.transaction(buildReadModels);
      await expectEqualToRaw(organizationId, [START_MS]);
    }
    await send(later ?? [], organizationId, 1);
    await expectEqualToRaw(organizationId, [START_MS, START_MS + HOUR_MS]);
  });
});
