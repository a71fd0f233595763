// Tests shared commits: the number of requests per commit, isolated failures and overload.
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { EventResultStatus, EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import { ProfileService } from "@muster/contracts/muster/events/v1/profile_service_pb";
import { bytesToUuid, type OrganizationId, randomIds, uuidToBytes } from "@muster/core";
import type { Database } from "@muster/db";
import { createLogger } from "@muster/log";
import { Metrics } from "@muster/metrics";
import { ENGINES, FakeClock, openTestDatabase, type TestDatabase } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ErasedLookup } from "../src/erased-events/erased-lookup.ts";
import { EventHasher } from "../src/erased-events/event-hash.ts";
import { IngestQueue } from "../src/ingest/ingest-queue.ts";
import { createSubmission, type EventOutcome } from "../src/ingest/submission.ts";
import { eventsModule } from "../src/module.ts";
import { EventsUnderTest, newOrganization } from "./events-under-test.ts";

const { recordEvent, batchRecordEvents, listEvents } = EventService.method;
const { listProfiles } = ProfileService.method;
const { STORED, DUPLICATE } = EventResultStatus;
const user = (value: string) => ({ case: "userId", value }) as const;

/** Returns all events of an organization through the public lists. */
async function stored(events: EventsUnderTest, organizationId: OrganizationId) {
  const as = { organizationId };
  const found: string[] = [];
  const { profiles } = await events.call(listProfiles, { pageSize: 500 }, as);
  for (const { id: profileId } of profiles) {
    const page = await events.call(listEvents, { profileId, pageSize: 500 }, as);
    found.push(...page.events.map(({ id }) => id));
  }
  return { profiles, ids: found.sort() };
}

async function announcedOf(events: EventsUnderTest, organizationId: OrganizationId) {
  const { events: published, profiles } = await events.announced();
  const own = uuidToBytes(organizationId);
  return {
    ids: published
      .filter((one) => own.equals(one.organizationId))
      .map(({ id }) => bytesToUuid(id))
      .sort(),
    profileIds: profiles
      .filter((one) => own.equals(one.organizationId))
      .map(({ profileId }) => bytesToUuid(profileId)),
  };
}

describe.each(ENGINES)("shared commits on %s", (engine) => {
  let events: EventsUnderTest;

  beforeAll(async () => {
    events = await EventsUnderTest.open(engine);
  });
  afterAll(() => events.close());

  test("200 concurrent single events cost few transactions, and the outbox contains exactly these events", async () => {
    const organizationId = newOrganization();
    const before = await events.count("muster_ingest_commits_total");
    const responses = await Promise.all(
      Array.from({ length: 200 }, (_, index) =>
        events.call(
          recordEvent,
          { event: { identity: user(String(index % 50)), name: "seen" } },
          { organizationId },
        ),
      ),
    );
    expect((await events.count("muster_ingest_commits_total")) - before).toBeLessThanOrEqual(20);
    const { profiles, ids } = await stored(events, organizationId);
    expect(profiles).toHaveLength(50);
    expect(ids).toEqual(responses.map(({ event }) => event?.id).sort());
    const published = await announcedOf(events, organizationId);
    expect(published.ids).toEqual(ids);
    expect(published.profileIds.sort()).toEqual(profiles.map(({ id }) => id).sort());
  });

  test("many organizations share a commit and cannot read each other's events", async () => {
    const organizations = Array.from({ length: 90 }, newOrganization);
    const sent = { identity: user("13"), name: "seen", eventId: "e", timestamp: timestampFromMs(1) };
    const send = () =>
      Promise.all(
        organizations.map((organizationId) => events.call(recordEvent, { event: sent }, { organizationId })),
      );
    const first = await send();
    expect(new Set(first.map(({ event }) => event?.id)).size).toBe(90);
    expect(new Set(first.map(({ event }) => event?.profileId)).size).toBe(90);
    expect(await send()).toEqual(first);
  });

  test("two processes with the same new users and events store each of them once", async () => {
    const organizationId = newOrganization();
    const other = await EventsUnderTest.open(engine, { beside: events });
    try {
      const batch = (salt: number) =>
        Array.from({ length: 60 }, (_, index) => ({
          identity: user(String((index * 7 + salt) % 40)),
          name: "seen",
          eventId: `e${(index * 7 + salt) % 40}`,
          ...(((index * 7 + salt) % 40) % 2 === 0 && { timestamp: timestampFromMs(5) }),
        }));
      const results = await Promise.all(
        Array.from({ length: 8 }, (_, salt) =>
          (salt % 2 === 0 ? events : other).call(
            batchRecordEvents,
            { events: batch(salt) },
            { organizationId },
          ),
        ),
      );
      const all = results.flatMap((response) => response.results);
      expect(all.filter(({ status }) => status === STORED)).toHaveLength(40);
      expect(all.filter(({ status }) => status === DUPLICATE)).toHaveLength(8 * 60 - 40);
      const { profiles, ids } = await stored(events, organizationId);
      expect(profiles).toHaveLength(40);
      expect(ids).toEqual([...new Set(all.map(({ id }) => id))].sort());
      const published = await announcedOf(events, organizationId);
      expect(published.ids).toEqual(ids);
      expect(published.profileIds).toHaveLength(40);
    } finally {
      await other.close();
    }
  });

  test("the largest batch is split into messages of at most 512 KiB", async () => {
    const organizationId = newOrganization();
    const properties = JSON.stringify({ a: "x".repeat(120_000) });
    const sent = Array.from({ length: 30 }, () => ({ identity: user("13"), name: "seen", properties }));
    await events.call(batchRecordEvents, { events: sent }, { organizationId });
    const { ids } = await announcedOf(events, organizationId);
    expect(ids).toHaveLength(30);
  });

  test("a full backlog refuses batches, and single events at twice the size", async () => {
    const tight = await EventsUnderTest.open(engine, { backlogItemsMax: 3 });
    try {
      const as = { organizationId: newOrganization() };
      await tight.feed.reportApplied({ consumer: "segments", shards: [] });
      const { positions } = await tight.feed.getPositions({});
      const shards = positions.map((position, shard) => ({ shard, position, itemsThrough: 0n }));
      await tight.feed.reportApplied({ consumer: "segments", shards });
      const event = { identity: user("13"), name: "seen" };
      const overloaded = { reason: "OVERLOADED", retryAfterMs: 1000 };
      await tight.call(batchRecordEvents, { events: Array(4).fill(event) }, as);
      await expect(tight.call(batchRecordEvents, { events: [event] }, as)).rejects.toMatchObject(overloaded);
      for (let index = 0; index < 3; index += 1) await tight.call(recordEvent, { event }, as);
      await expect(tight.call(recordEvent, { event }, as)).rejects.toMatchObject(overloaded);
      expect(await tight.count("muster_ingest_refused_submissions_total")).toBe(2);
    } finally {
      await tight.close();
    }
  });

  test("a stop commits waiting submissions and rejects new ones", async () => {
    const own = await EventsUnderTest.open(engine, { beside: events });
    const organizationId = newOrganization();
    const call = () =>
      own.call(recordEvent, { event: { identity: user("13"), name: "seen" } }, { organizationId });
    const waiting = Promise.all(Array.from({ length: 20 }, call));
    // The dispatcher forwards the calls a few event loop turns later.
    await new Promise((resolve) => setImmediate(resolve));
    await own.close();
    await waiting;
    expect((await stored(events, organizationId)).ids).toHaveLength(20);
    await expectReason(call(), "UNAVAILABLE");
  });
});

describe.each(ENGINES)("a failing commit on %s", (engine) => {
  let opened: TestDatabase;
  let failures: ((sql: string) => Error | undefined) | undefined;
  /** Number of transactions that detect a concurrent merge at the end. */
  let mergesMeanwhile = 0;
  const organizationId = newOrganization();

  beforeAll(async () => {
    opened = await openTestDatabase(engine, eventsModule.migrations);
  });
  afterAll(() => opened.close());

  function queueOf(database: Database) {
    return new IngestQueue({
      steps: [],
      erased: new ErasedLookup(new EventHasher(new Uint8Array(32))),
      database,
      clock: new FakeClock(),
      profileIds: randomIds,
      log: createLogger({ level: "silent" }),
      metrics: new Metrics(),
      backlogItemsMax: 1000,
      // Counts the messages to publish; the tests above use the real outbox.
      outbox: {
        append: async (trx, drafts) => {
          const error = failures?.("append");
          if (error !== undefined) throw error;
          if (mergesMeanwhile > 0) {
            mergesMeanwhile -= 1;
            await trx("shard_identity_versions").increment("identity_version", 1);
          }
          await trx("shard_positions").where("shard", 0).select("position");
          return drafts.map(() => 1);
        },
        committed: () => {},
        backlogItems: () => 0,
      },
    });
  }

  const sent = (name: string, saveResponse?: () => Promise<void>) =>
    createSubmission(
      organizationId,
      [
        {
          identityKind: "user_id",
          identity: name,
          name,
          properties: "{}",
          occurredMs: 1,
          receivedMs: 1,
          clientEventId: undefined,
          repeatedBy: undefined,
          id: randomIds.next(1),
          bytes: 200,
        },
      ],
      { traceParent: "", ...(saveResponse && { saveResponse }) },
    );
  const statusOf = (outcomes: readonly EventOutcome[]) => outcomes.map(({ status }) => status);
  const names = async () => {
    const rows = await opened.database.reader("tracked_events").select<{ name: Buffer }[]>("name");
    return rows.map(({ name }) => name.toString()).sort();
  };
  const userIds = async () =>
    (await opened.database.reader("profile_identities").select<{ value: Buffer }[]>("value"))
      .map(({ value }) => value.toString())
      .sort();

  test("after the inserts leaves no rows and fails every caller, and retries succeed", async () => {
    failures = () => new Error("the process dies here");
    const queue = queueOf(opened.database);
    const submissions = [sent("a"), sent("b")];
    const all = await Promise.allSettled(submissions.map((submission) => queue.submit(submission, "single")));
    expect(all.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(await names()).toEqual([]);
    expect(await userIds()).toEqual([]);
    failures = undefined;
    for (const submission of submissions) {
      expect(statusOf(await queue.submit(submission, "single"))).toEqual(["stored"]);
    }
    expect(await names()).toEqual(["a", "b"]);
  });

  test("while saving a submission's response fails only that submission", async () => {
    const queue = queueOf(opened.database);
    const lost = new Error("the claim was lost");
    const all = await Promise.allSettled([
      queue.submit(sent("first"), "single"),
      ...["c", "d", "e"].map((name) =>
        queue.submit(sent(name, name === "d" ? () => Promise.reject(lost) : async () => {}), "single"),
      ),
    ]);
    expect(all.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected", "fulfilled"]);
    expect(all[2]).toMatchObject({ reason: lost });
    expect(await names()).toEqual(["a", "b", "c", "e", "first"]);
    expect(await userIds()).not.toContain("d");
  });

  test("for an unknown reason is divided until the failing submission is isolated", async () => {
    const queue = queueOf(opened.database);
    const bad = sent("bad");
    const failing = { ...bad, events: bad.events.map((event) => ({ ...event, occurredMs: Number.NaN })) };
    const all = await Promise.allSettled([
      queue.submit(sent("x1"), "single"),
      ...["x2", "x3", "x4", "x5"].map((name) => queue.submit(sent(name), "single")),
      queue.submit(failing, "single"),
      queue.submit(sent("x6"), "single"),
    ]);
    expect(all.map(({ status }) => status)).toEqual([...Array(5).fill("fulfilled"), "rejected", "fulfilled"]);
    expect((await names()).filter((name) => name.startsWith("x"))).toEqual([
      "x1",
      "x2",
      "x3",
      "x4",
      "x5",
      "x6",
    ]);
    expect(await userIds()).not.toContain("bad");
  });

  test("of two equal new events in one commit, the second is stored if the first fails", async () => {
    const queue = queueOf(opened.database);
    const event = { ...sent("twin").events[0], clientEventId: "twin", repeatedBy: "client_id" } as const;
    const twin = (saveResponse?: () => Promise<void>) => {
      const submission = sent("twin", saveResponse);
      return { ...submission, events: [{ ...event, id: submission.events[0]?.id }] } as typeof submission;
    };
    const [, first, second, third] = await Promise.allSettled([
      queue.submit(sent("opener"), "single"),
      queue.submit(
        twin(() => Promise.reject(new Error("lost"))),
        "single",
      ),
      queue.submit(twin(), "single"),
      queue.submit(twin(), "single"),
    ]);
    expect(first?.status).toBe("rejected");
    expect(second?.status === "fulfilled" && statusOf(second.value)).toEqual(["stored"]);
    expect(third?.status === "fulfilled" && statusOf(third.value)).toEqual(["duplicate"]);
  });

  test("a full queue refuses, and an organization cannot fill more than half of the queue", async () => {
    const queue = new IngestQueue({
      steps: [],
      erased: new ErasedLookup(new EventHasher(new Uint8Array(32))),
      database: opened.database,
      clock: new FakeClock(),
      profileIds: randomIds,
      log: createLogger({ level: "silent" }),
      metrics: new Metrics(),
      backlogItemsMax: 1000,
      outbox: { append: async () => [], committed: () => {}, backlogItems: () => 0 },
      limits: { queueRowsMax: 20 },
    });
    const crowd = Array.from({ length: 30 }, (_, index) => queue.submit(sent(`crowd${index}`), "single"));
    const guest = queue.submit({ ...sent("guest"), organizationId: newOrganization() }, "single");
    const results = await Promise.allSettled(crowd);
    const refused = results.filter(({ status }) => status === "rejected");
    expect(refused).toHaveLength(20);
    for (const one of refused) expect(one).toMatchObject({ reason: { reason: "OVERLOADED" } });
    expect(statusOf(await guest)).toEqual(["stored"]);
  });

  test("because of concurrent merges is retried a bounded number of times", async () => {
    const queue = queueOf(opened.database);
    mergesMeanwhile = 5;
    expect(statusOf(await queue.submit(sent("merged"), "single"))).toEqual(["stored"]);
    expect(mergesMeanwhile).toBe(0);
    mergesMeanwhile = Number.POSITIVE_INFINITY;
    const always = await queue.submit(sent("always"), "single").catch((error: unknown) => error);
    expect(always).toMatchObject({ reason: "UNAVAILABLE" });
    mergesMeanwhile = 0;
    const seen = await names();
    expect(seen.filter((name) => name === "merged")).toHaveLength(1);
    expect(seen).not.toContain("always");
    expect(statusOf(await queue.submit(sent("always"), "single"))).toEqual(["stored"]);
  });
});
