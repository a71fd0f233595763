// Tests submissions that commit in several transactions: their size, turns of organizations, crashes between two
// parts and repetitions.

import { create } from "@bufbuild/protobuf";
import {
  BatchRecordEventsRequestSchema,
  EventResultStatus,
  EventService,
} from "@muster/contracts/muster/events/v1/event_service_pb";
import { BatchRequestSchema, TrackingService } from "@muster/contracts/muster/events/v1/tracking_service_pb";
import { type OrganizationId, randomIds, uuidToBytes } from "@muster/core";
import type { Database, Transaction } from "@muster/db";
import { createLogger } from "@muster/log";
import { Metrics } from "@muster/metrics";
import { ENGINES, FakeClock, openTestDatabase, type TestDatabase } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ErasedLookup } from "../src/erased-events/erased-lookup.ts";
import { EventHasher } from "../src/erased-events/event-hash.ts";
import { COMMIT_TARGET_MS } from "../src/ingest/commit-sizes.ts";
import { IngestQueue } from "../src/ingest/ingest-queue.ts";
import { createSubmission, type EventOutcome, type Submission } from "../src/ingest/submission.ts";
import { eventsModule } from "../src/module.ts";
import { EventsUnderTest, newOrganization } from "./events-under-test.ts";

const { STORED, DUPLICATE } = EventResultStatus;
const EVENT_MS = 1;

async function countEvents(
  db: Database["reader"] | Transaction,
  organizationId: OrganizationId,
): Promise<number> {
  const [row] = await db("tracked_events")
    .where("organization_id", uuidToBytes(organizationId))
    .count<{ events: number | string }[]>({ events: "*" });
  return Number(row?.events ?? 0);
}

describe.each(ENGINES)("a submission in parts on %s", (engine) => {
  let opened: TestDatabase;
  /** The organizations of the events of each transaction. */
  let transactions: OrganizationId[][] = [];
  let failsAt = Number.POSITIVE_INFINITY;

  beforeAll(async () => {
    opened = await openTestDatabase(engine, eventsModule.migrations);
  });
  afterAll(() => opened.close());

  /** Every event takes a millisecond. */
  function openQueue(): IngestQueue {
    const clock = new FakeClock();
    transactions = [];
    return new IngestQueue({
      steps: [
        {
          apply: async (_trx, plan) => {
            if (transactions.length === failsAt) throw new Error("the part fails");
            transactions.push(plan.newEvents.map(({ organizationId }) => organizationId));
            clock.advance(plan.newEvents.length * EVENT_MS);
            return { drafts: [] };
          },
        },
      ],
      erased: new ErasedLookup(new EventHasher(new Uint8Array(32))),
      database: opened.database,
      clock,
      profileIds: randomIds,
      log: createLogger({ level: "silent" }),
      metrics: new Metrics(),
      backlogItemsMax: 100_000,
      outbox: { append: async () => [], committed: () => {}, backlogItems: () => 0 },
    });
  }

  function submissionOf(
    organizationId: OrganizationId,
    count: number,
    saveResponse?: Submission["saveResponse"],
  ): Submission {
    const events = Array.from({ length: count }, (_, index) => ({
      identityKind: "user_id" as const,
      identity: "7",
      name: `event-${index}`,
      properties: "{}",
      occurredMs: 1,
      receivedMs: 1,
      clientEventId: undefined,
      repeatedBy: undefined,
      id: randomIds.next<never>(1),
      bytes: 200,
    }));
    return createSubmission(organizationId, events, {
      traceParent: "",
      ...(saveResponse && { saveResponse }),
    });
  }

  test("holds its locks for about the intended time, and others are stored between two parts", async () => {
    const queue = openQueue();
    const [crowd, single] = [newOrganization(), newOrganization()];
    const saved: (readonly EventOutcome[])[] = [];
    const all = queue.submit(
      submissionOf(crowd, 1000, async (_trx, outcomes) => {
        saved.push(outcomes);
      }),
      "batch",
    );
    await new Promise((resolve) => setImmediate(resolve));
    await queue.submit(submissionOf(single, 1), "single");
    expect(await countEvents(opened.database.reader, crowd)).toBeLessThan(600);
    const outcomes = await all;
    expect(outcomes.map((outcome) => outcome.status === "stored" && outcome.event.name)).toEqual(
      Array.from({ length: 1000 }, (_, index) => `event-${index}`),
    );
    expect(saved).toEqual([outcomes]);
    const own = transactions.filter((organizations) => organizations.includes(crowd));
    const longest = Math.max(...own.slice(1).map((organizations) => organizations.length));
    expect(longest * EVENT_MS).toBeLessThanOrEqual(COMMIT_TARGET_MS);
  });

  test("fails as a whole with a part, and the parts that follow are not stored", async () => {
    const organizationId = newOrganization();
    const queue = openQueue();
    failsAt = 2;
    await expect(queue.submit(submissionOf(organizationId, 1000), "batch")).rejects.toThrow("the part fails");
    failsAt = Number.POSITIVE_INFINITY;
    const before = await countEvents(opened.database.reader, organizationId);
    expect(before).toBe(transactions.flat().length);
    expect(before).toBeLessThan(1000);
    const next = await queue.submit(submissionOf(organizationId, 1), "single");
    expect(next.map(({ status }) => status)).toEqual(["stored"]);
    expect(await countEvents(opened.database.reader, organizationId)).toBe(before + 1);
  });
});

describe.each(ENGINES)("a repeated call on %s", (engine) => {
  let events: EventsUnderTest;
  /** A transaction that would bring the organization to this number of events fails. */
  let crash: { readonly organizationId: OrganizationId; readonly events: number } | undefined;

  const wrap = (database: Database): Database => ({
    engine: database.engine,
    reader: database.reader,
    snapshot: (body) => database.snapshot(body),
    removeDeletedData: () => database.removeDeletedData(),
    nowMs: () => database.nowMs(),
    ping: () => database.ping(),
    close: () => database.close(),
    transaction: (body, options) =>
      database.transaction(async (trx) => {
        const result = await body(trx);
        if (crash && (await countEvents(trx, crash.organizationId)) >= crash.events) {
          throw new Error("crashed before the commit");
        }
        return result;
      }, options),
  });

  beforeAll(async () => {
    events = await EventsUnderTest.open(engine, { wrap });
  });
  afterAll(() => events.close());

  const batchOf = (names: readonly string[]) =>
    create(BatchRecordEventsRequestSchema, {
      events: names.map((name) => ({ identity: { case: "userId" as const, value: "7" }, name })),
    });
  const names = Array.from({ length: 300 }, (_, index) => `event-${index}`);

  test("finds the events of the parts before a crash again, although they have no ids", async () => {
    const organizationId = newOrganization();
    const as = { organizationId, idempotencyKey: "k1" };
    const record = (request = batchOf(names)) =>
      events.call(EventService.method.batchRecordEvents, request, as);
    crash = { organizationId, events: 300 };
    await expectReason(record(), "INTERNAL");
    crash = undefined;
    expect(await countEvents(events.database.reader, organizationId)).toBe(200);
    const { results } = await record();
    expect(results.map(({ status }) => status)).toEqual([
      ...Array(200).fill(DUPLICATE),
      ...Array(100).fill(STORED),
    ]);
    expect(await countEvents(events.database.reader, organizationId)).toBe(300);
    expect((await record()).results).toEqual(results);
  });

  test("with another body after a crash is another call", async () => {
    const organizationId = newOrganization();
    const as = { organizationId, idempotencyKey: "k2" };
    const record = (request = batchOf(names)) =>
      events.call(EventService.method.batchRecordEvents, request, as);
    crash = { organizationId, events: 300 };
    await expectReason(record(), "INTERNAL");
    crash = undefined;
    const { results } = await record(batchOf([...names, "another"]));
    expect(new Set(results.map(({ status }) => status))).toEqual(new Set([STORED]));
    expect(await countEvents(events.database.reader, organizationId)).toBe(501);
  });

  test("of a tracking SDK without message ids stores no call twice", async () => {
    const organizationId = newOrganization();
    const as = { organizationId, idempotencyKey: "k3" };
    const calls = names.map((event, index) => ({
      type: "track",
      userId: "7",
      event,
      timestamp: index % 2 ? "2026-01-01T00:00:00Z" : "",
    }));
    const claims = [{ type: "identify", userId: "7", anonymousId: "a" }];
    const request = create(BatchRequestSchema, { batch: [...calls, ...claims, ...calls] });
    crash = { organizationId, events: 601 };
    await expectReason(events.call(TrackingService.method.batch, request, as), "INTERNAL");
    crash = undefined;
    const before = await countEvents(events.database.reader, organizationId);
    expect(before).toBeGreaterThanOrEqual(301);
    await events.call(TrackingService.method.batch, request, as);
    expect(await countEvents(events.database.reader, organizationId)).toBe(601);
  });
});
