// Tests erasures that run beside ingest, merges and other erasures. Every acknowledged event is stored or
// rejected as erased; no data remains partially.

import { create, fromBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { ErasureService } from "@muster/contracts/muster/events/v1/erasure_service_pb";
import { EventResultStatus, EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import { ProfileErasedSchema } from "@muster/contracts/muster/events/v1/events_events_pb";
import { ProfileService } from "@muster/contracts/muster/events/v1/profile_service_pb";
import { EventInputSchema } from "@muster/contracts/muster/events/v1/tracked_event_pb";
import { type OrganizationId, randomIds, SeededRandom, systemClock } from "@muster/core";
import { AppError } from "@muster/errors";
import { createLogger } from "@muster/log";
import { Metrics } from "@muster/metrics";
import { ENGINES } from "@muster/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ErasedLookup } from "../src/erased-events/erased-lookup.ts";
import { EventHasher } from "../src/erased-events/event-hash.ts";
import { PROFILE_TABLES } from "../src/erasure/profile-tables-store.ts";
import { IngestQueue } from "../src/ingest/ingest-queue.ts";
import { readBatchedEvent } from "../src/ingest/read-event-input.ts";
import { createSubmission } from "../src/ingest/submission.ts";
import { EventsUnderTest, newOrganization } from "./events-under-test.ts";

const { batchRecordEvents, listEvents } = EventService.method;
const { listProfiles, mergeProfile, unmergeProfile } = ProfileService.method;
const { eraseTrackedUser } = ErasureService.method;

const WRITERS = 4;
const BATCHES = 8;
const EVENTS_PER_BATCH = 10;
const USERS = ["ada", "bob", "cid"];
const NOW_MS = systemClock.nowMs();
/** Error reasons of a call that lost a race. */
const LOST_RACE_REASONS = ["PROFILE_NOT_FOUND", "PROFILE_MERGED_BEFORE", "PROFILE_NOT_MERGED", "UNAVAILABLE"];

describe.each(ENGINES)("concurrent erasures on %s", (engine) => {
  let events: EventsUnderTest;
  let beside: EventsUnderTest;

  beforeAll(async () => {
    events = await EventsUnderTest.open(engine, { clock: systemClock });
    beside = await EventsUnderTest.open(engine, { clock: systemClock, beside: events });
  });
  afterAll(async () => {
    await beside.close();
    await events.close();
  });

  test.each([1, 2])(
    "erasures, merges and repeats beside ingest, seed %i",
    { timeout: 60_000 },
    async (seed) => {
      const organizationId = newOrganization();
      const as = { organizationId };
      const random = new SeededRandom(seed);
      const processes = [events, beside];
      const processAt = (index: number) => processes[index % 2] ?? events;
      const acknowledged: ReturnType<typeof eventOf>[] = [];
      let isWriting = true;

      const eventOf = (writer: number, index: number) => {
        const isDated = random.integer(0, 2) > 0;
        const identity =
          random.integer(0, 4) === 0
            ? { case: "anonymousId" as const, value: `device-${random.integer(0, 2)}` }
            : { case: "userId" as const, value: USERS[random.integer(0, USERS.length - 1)] ?? "ada" };
        return {
          identity,
          eventId: `${writer}-${index}`,
          name: random.integer(0, 1) === 0 ? "page.viewed" : "withdraw",
          properties: JSON.stringify({ name: "a page", amount: "500.00", time: index }),
          ...(isDated && { timestamp: timestampFromMs(NOW_MS - random.integer(0, 86_400_000)) }),
        };
      };
      const write = async (writer: number): Promise<void> => {
        for (let batch = 0; batch < BATCHES; batch += 1) {
          const sent = Array.from({ length: EVENTS_PER_BATCH }, (_, index) =>
            eventOf(writer, batch * EVENTS_PER_BATCH + index),
          );
          const { results } = await processAt(writer).call(batchRecordEvents, { events: sent }, as);
          for (const [index, { status }] of results.entries()) {
            const event = sent[index];
            if (status === EventResultStatus.STORED && event !== undefined) acknowledged.push(event);
          }
        }
      };
      const ignoreLostRace = (error: { reason?: string }): void => {
        if (!LOST_RACE_REASONS.includes(error.reason ?? "")) throw error;
      };
      const disturb = async (index: number): Promise<void> => {
        const process = processAt(index);
        while (isWriting) {
          const userId = USERS[random.integer(0, USERS.length - 1)] ?? "ada";
          if (random.integer(0, 1) === 0) await process.call(eraseTrackedUser, { userId }, as);
          const { profiles } = await process.call(listProfiles, {}, as);
          const [one, other] = [0, 1].map(
            () => profiles[random.integer(0, Math.max(0, profiles.length - 1))]?.id ?? "",
          );
          if (one === other || one === undefined) continue;
          await process.call(mergeProfile, { profileId: one, into: other ?? "" }, as).catch(ignoreLostRace);
          if (random.integer(0, 1) === 0)
            await process.call(unmergeProfile, { profileId: one }, as).catch(ignoreLostRace);
        }
      };
      /** Sends acknowledged events again and again, like a client without responses. */
      const replay = async (index: number): Promise<void> => {
        while (isWriting) {
          const again = acknowledged.filter(() => random.integer(0, 9) === 0).slice(-100);
          if (again.length === 0) {
            await systemClock.sleep(5);
            continue;
          }
          const { results } = await processAt(index).call(batchRecordEvents, { events: again }, as);
          for (const { eventId, status } of results) {
            expect(status, `${eventId} once more`).not.toBe(EventResultStatus.STORED);
          }
        }
      };
      const disturbing = [...[0, 1, 2].map(disturb), ...[0, 1].map(replay)];
      await Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
      isWriting = false;
      await Promise.all(disturbing);

      await expectNoOrphans(organizationId);
      await expectEachOnce(organizationId, acknowledged);
      await expectNothingPublishedAfter(organizationId);
    },
  );

  // SQLite runs transactions sequentially.
  test.runIf(engine === "mysql")("an event that is erased while it is sent again stays erased", async () => {
    const organizationId = newOrganization();
    const as = { organizationId };
    const [user, other] = ["ada", "bob"].map((value) => ({ identity: { case: "userId" as const, value } }));
    const sent = { name: "seen", eventId: "e1", timestamp: timestampFromMs(NOW_MS) };
    await events.call(batchRecordEvents, { events: [{ ...user, ...sent }] }, as);

    const lookup = new ErasedLookup(new EventHasher(new Uint8Array(32).fill(9)));
    let lookups = 0;
    const find: ErasedLookup["find"] = async (...parameters) => {
      const found = await lookup.find(...parameters);
      lookups += 1;
      // The event was searched for and not yet stored.
      if (lookups === 1) await events.call(eraseTrackedUser, { userId: "ada" }, as);
      return found;
    };
    const queue = new IngestQueue({
      database: beside.database,
      clock: systemClock,
      profileIds: randomIds,
      metrics: new Metrics(),
      log: createLogger({ level: "silent" }),
      backlogItemsMax: 1000,
      steps: [],
      erased: { find },
      outbox: {
        append: async (_trx, drafts) => drafts.map(() => 0),
        committed: () => {},
        backlogItems: () => 0,
      },
    });
    const reader = { organizationId, nowMs: NOW_MS, ids: randomIds, fieldPrefix: "" };
    const event = readBatchedEvent(create(EventInputSchema, { ...other, ...sent }), reader);
    if (event instanceof AppError) throw event;
    const submission = createSubmission(organizationId, [event], { traceParent: "" });
    expect(await queue.submit(submission, "single")).toMatchObject([{ error: { reason: "EVENT_ERASED" } }]);
    expect(lookups).toBeGreaterThan(2);
    expect((await events.call(listProfiles, {}, as)).profiles).toEqual([]);
  });

  /** Expects that no table has a row of a deleted profile. */
  async function expectNoOrphans(organizationId: OrganizationId): Promise<void> {
    const organization = Buffer.from(organizationId.replaceAll("-", ""), "hex");
    const { reader } = events.database;
    const known = new Set<string>();
    for (const row of await reader("profiles").where("organization_id", organization)) {
      known.add(row.profile_id.toString("hex"));
    }
    const tables = [...PROFILE_TABLES, { table: "tracked_events", column: "profile_id" }];
    tables.push({ table: "profile_identities", column: "profile_id" });
    for (const { table, column } of tables) {
      if (column === "into_profile_id") continue;
      for (const row of await reader(table).where("organization_id", organization)) {
        expect(known, `${table} has a row of an erased profile`).toContain(row[column].toString("hex"));
      }
    }
  }

  /** Sends all acknowledged events again: a stored event is a duplicate, and any other event was erased. */
  async function expectEachOnce(organizationId: OrganizationId, acknowledged: object[]): Promise<void> {
    const as = { organizationId };
    const stored = new Set<string>();
    for (const { id } of (await events.call(listProfiles, { pageSize: 500 }, as)).profiles) {
      for (let pageToken = ""; ; ) {
        const page = await events.call(listEvents, { profileId: id, pageSize: 500, pageToken }, as);
        for (const { eventId } of page.events) {
          expect(stored).not.toContain(eventId);
          stored.add(eventId);
        }
        pageToken = page.nextPageToken;
        if (pageToken === "") break;
      }
    }
    const { results } = await events.call(batchRecordEvents, { events: acknowledged }, as);
    for (const { eventId, status, error } of results) {
      const outcome = error?.reason ?? status;
      const isThere = stored.has(eventId ?? "");
      // A repeat for a profile that was merged in the meantime can belong to another person.
      const expected = isThere ? [EventResultStatus.DUPLICATE, "EVENT_CONFLICT"] : ["EVENT_ERASED"];
      expect(expected, `${eventId}, which is ${isThere ? "there" : "gone"}`).toContain(outcome);
    }
    expect(results.length).toBeGreaterThan(0);
    expect(stored.size).toBe(results.filter(({ error }) => error?.reason !== "EVENT_ERASED").length);
  }

  /**
   * Expects that the shard of an erased profile contains no later message about the profile, and no earlier
   * content.
   */
  async function expectNothingPublishedAfter(organizationId: OrganizationId): Promise<void> {
    for (let shard = 0; shard < 16; shard += 1) {
      const erased: Buffer[] = [];
      for (let afterPosition = 0n; ; ) {
        const { envelopes } = await events.feed.readOutbox({ shard, afterPosition, limit: 1000 });
        if (envelopes.length === 0) break;
        for (const { type, data, position } of envelopes) {
          const text = Buffer.from(data);
          for (const id of erased)
            expect(text.includes(id), `${type} at ${position} of shard ${shard}`).toBe(false);
          if (type === "muster.events.profile.erased.v1") {
            const message = fromBinary(ProfileErasedSchema, data);
            erased.push(Buffer.from(message.profileId));
          }
          afterPosition = position;
        }
      }
    }
    expect(organizationId).toBeDefined();
  }
});
