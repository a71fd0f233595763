// Tests single and batched events: identities, ids, duplicates, conflicts and limits.
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { EventResultStatus, EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import { ProfileService } from "@muster/contracts/muster/events/v1/profile_service_pb";
import type { OrganizationId } from "@muster/core";
import { ENGINES } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { EventsUnderTest, newOrganization } from "./events-under-test.ts";

const { recordEvent, recordProfileEvent, batchRecordEvents, listEvents } = EventService.method;
const { createProfile, listProfiles } = ProfileService.method;
const AT = timestampFromMs(Date.UTC(2025, 5, 1, 12, 0, 0, 123));
const NOWHERE = "01980000-0000-7000-8000-000000000000";

describe.each(ENGINES)("recording events on %s", (engine) => {
  let events: EventsUnderTest;
  let organizationId: OrganizationId;
  let as: { organizationId: OrganizationId };

  beforeAll(async () => {
    events = await EventsUnderTest.open(engine);
  });
  afterAll(() => events.close());
  beforeEach(() => {
    organizationId = newOrganization();
    as = { organizationId };
  });

  const user = (value: string) => ({ case: "userId", value }) as const;
  const visitor = (value: string) => ({ case: "anonymousId", value }) as const;
  async function record(event: NonNullable<Parameters<typeof events.call<typeof recordEvent>>[1]["event"]>) {
    const { event: stored } = await events.call(recordEvent, { event }, as);
    if (stored === undefined) throw new Error("no event in the answer");
    return stored;
  }
  const profiles = async () => (await events.call(listProfiles, { pageSize: 500 }, as)).profiles;

  test("a new user_id creates a profile, the next event finds it; an equal anonymous_id is another profile", async () => {
    const first = await record({ identity: user("13"), name: "seen" });
    const second = await record({ identity: user("13"), name: "seen" });
    const other = await record({ identity: visitor("13"), name: "seen" });
    expect(second.profileId).toBe(first.profileId);
    expect(other.profileId).not.toBe(first.profileId);
    expect(await profiles()).toMatchObject([
      { id: first.profileId, userId: "13", traits: "{}" },
      { id: other.profileId, anonymousId: "13" },
    ]);
  });

  test("identifiers are compared byte for byte", async () => {
    const ids = ["a", "A", "a ", "á", "a\u0301", "013", "13", "\u{1f600}"];
    const seen = new Set<string>();
    for (const id of ids) seen.add((await record({ identity: user(id), name: "seen" })).profileId);
    expect(seen.size).toBe(ids.length);
    expect((await profiles()).map(({ userId }) => userId).sort()).toEqual([...ids].sort());
  });

  test("the response equals the request, with millisecond precision", async () => {
    const properties = '{"b":1.0,"a":[null,{"é":"\\ud83d\\ude00\\u0000"}],"n":9007199254740993}';
    const timestamp = { seconds: AT.seconds, nanos: 123_999_999 };
    const stored = await record({
      identity: user("13"),
      name: "Ünï ",
      properties,
      timestamp,
      eventId: "e 1",
    });
    expect(stored).toMatchObject({ name: "Ünï ", properties, timestamp: AT, eventId: "e 1" });
    const { events: listed } = await events.call(listEvents, { profileId: stored.profileId }, as);
    expect(listed).toEqual([stored]);
  });

  test("without an id the event's own id is returned; without a time it is the time of receipt", async () => {
    const stored = await record({ identity: user("13"), name: "seen" });
    expect(stored.eventId).toBe(stored.id);
    expect(stored.timestamp).toEqual(timestampFromMs(events.clock.nowMs()));
    expect(stored.receiveTime).toEqual(stored.timestamp);
  });

  test.each([{ timestamp: AT }, {}])(
    "the same id and time (%o) is the same event, other content a conflict",
    async (at) => {
      const sent = {
        identity: user("13"),
        name: "paid",
        eventId: "e1",
        properties: '{"a":1,"b":[2]}',
        ...at,
      };
      const stored = await record(sent);
      expect(await record(sent)).toEqual(stored);
      expect(await record({ ...sent, properties: '{ "b":[2.0], "a":1 }' })).toEqual(stored);
      for (const other of [
        { ...sent, name: "Paid" },
        { ...sent, properties: '{"a":1,"b":[2,0]}' },
        { ...sent, identity: visitor("13") },
        { ...sent, identity: user("unseen") },
      ]) {
        await expectReason(record(other), "EVENT_CONFLICT");
      }
      // Rejected events have created no profiles.
      expect(await profiles()).toHaveLength(1);
      const { events: listed } = await events.call(listEvents, { profileId: stored.profileId }, as);
      expect(listed).toEqual([stored]);
    },
  );

  test("the same id at another time, or once with and once without, is another event", async () => {
    const sent = { identity: user("13"), name: "paid", eventId: "e1" };
    const ids = new Set([
      (await record({ ...sent, timestamp: AT })).id,
      (await record({ ...sent, timestamp: timestampFromMs(Date.UTC(2025, 5, 1)) })).id,
      (await record({ ...sent, timestamp: timestampFromMs(events.clock.nowMs()) })).id,
      (await record(sent)).id,
    ]);
    expect(ids.size).toBe(4);
  });

  test("instants from the year 1 to 9999 are stored, others rejected", async () => {
    for (const at of ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"]) {
      const timestamp = timestampFromMs(Date.parse(at));
      const sent = { identity: user("13"), name: "seen", eventId: "e", timestamp };
      expect(await record(sent)).toMatchObject({ timestamp });
      expect(await record(sent)).toMatchObject({ timestamp });
    }
    for (const timestamp of [{ seconds: -62_135_596_801n }, { seconds: 253_402_300_800n }, { nanos: -1 }]) {
      await expectReason(record({ identity: user("13"), name: "seen", timestamp }), "FIELD_INVALID", {
        fields: [{ field: "event.timestamp" }],
      });
    }
  });

  test("profile_id must name a profile of the organization", async () => {
    const { profile } = await events.call(createProfile, { userId: "13" }, as);
    const profileId = profile?.id ?? "";
    const stored = await record({ identity: { case: "profileId", value: profileId }, name: "seen" });
    expect(stored.profileId).toBe(profileId);
    expect(await events.call(recordProfileEvent, { profileId, name: "seen" }, as)).toMatchObject({
      event: { profileId },
    });
    for (const value of [NOWHERE, "nonsense", profileId.toUpperCase(), `${profileId} `]) {
      const refused = { reason: "PROFILE_NOT_FOUND" };
      await expect(record({ identity: { case: "profileId", value }, name: "seen" })).rejects.toMatchObject(
        refused,
      );
      await expect(
        events.call(recordProfileEvent, { profileId: value, name: "seen" }, as),
      ).rejects.toMatchObject(refused);
    }
  });

  test.each([
    ["[]", "must be a JSON object"],
    ["null", "must be a JSON object"],
    ["{", "must be a JSON object"],
    ["", "must be a JSON object"],
    ['{"a":"\ud800"}', "must be valid Unicode"],
    [`{"a":${"[".repeat(64)}${"]".repeat(64)}}`, "must not nest deeper than 64 levels"],
    [`${'{"a":'.repeat(50_000)}`, undefined],
  ])("properties no. %# are rejected", async (properties, message) => {
    await expect(record({ identity: user("13"), name: "seen", properties })).rejects.toMatchObject(
      message === undefined ? { reason: "TOO_LARGE" } : { fields: [{ field: "event.properties", message }] },
    );
    expect(await profiles()).toEqual([]);
  });

  test("an event is at most 128 KiB encoded", async () => {
    const padded = (bytes: number) => ({
      identity: user("13"),
      name: "seen",
      properties: JSON.stringify({ a: "é".repeat((bytes - 25) >> 1) }),
    });
    await record(padded(128 * 1024));
    await expectReason(record(padded(128 * 1024 + 32)), "TOO_LARGE");
    await record({
      identity: user("13"),
      name: "seen",
      properties: `{"a":${"[".repeat(63)}${"]".repeat(63)}}`,
    });
  });

  test("an idempotency key returns the same response and stores nothing twice", async () => {
    const keyed = { ...as, idempotencyKey: "k1" };
    const request = { event: { identity: user("13"), name: "paid" } };
    const first = await events.callWithHeaders(recordEvent, request, keyed);
    const again = await events.callWithHeaders(recordEvent, request, keyed);
    expect(again.message).toEqual(first.message);
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    const profileId = first.message.event?.profileId ?? "";
    expect((await events.call(listEvents, { profileId }, as)).events).toHaveLength(1);
    const other = { event: { identity: user("14"), name: "paid" } };
    await expectReason(events.call(recordEvent, other, keyed), "IDEMPOTENCY_KEY_REUSED");
  });

  describe("a batch", () => {
    test("validates each event independently", async () => {
      const kept = await record({ identity: user("0"), name: "paid", eventId: "e0", timestamp: AT });
      const sent = { identity: user("1"), name: "paid", eventId: "e1", timestamp: AT };
      const { results } = await events.call(
        batchRecordEvents,
        {
          events: [
            { identity: user("1"), name: "seen" },
            { identity: user("2"), name: "" },
            { name: "seen" },
            sent,
            sent,
            { ...sent, name: "Paid" },
            { identity: { case: "profileId", value: NOWHERE }, name: "seen" },
            { identity: user("3"), name: "seen", properties: "[" },
            { identity: user("3"), name: "seen", properties: JSON.stringify({ a: "x".repeat(131_072) }) },
            {},
            { identity: user("0"), name: "paid", eventId: "e0", timestamp: AT },
            { identity: user("4"), name: "x".repeat(256) },
          ],
          unreadableEvents: [{ index: 9, field: "user_id", message: "must be a string" }],
        },
        as,
      );
      const { STORED, DUPLICATE, REJECTED } = EventResultStatus;
      const invalid = (field: string) => ({
        status: REJECTED,
        error: { reason: "FIELD_INVALID", code: "invalid_argument", fields: [{ field }] },
      });
      expect(results).toMatchObject([
        { index: 0, status: STORED },
        { index: 1, ...invalid("name") },
        { index: 2, ...invalid("identity") },
        { index: 3, status: STORED, eventId: "e1" },
        { index: 4, status: DUPLICATE, eventId: "e1", id: results[3]?.id },
        { index: 5, status: REJECTED, error: { reason: "EVENT_CONFLICT", code: "already_exists" } },
        { index: 6, status: REJECTED, error: { reason: "PROFILE_NOT_FOUND" } },
        { index: 7, ...invalid("properties") },
        { index: 8, status: REJECTED, error: { reason: "TOO_LARGE" } },
        {
          index: 9,
          status: REJECTED,
          error: { reason: "REQUEST_MALFORMED", fields: [{ field: "user_id" }] },
        },
        { index: 10, status: DUPLICATE, id: kept.id },
        { index: 11, ...invalid("name") },
      ]);
      expect(results[0]?.profileId).toBe(results[3]?.profileId);
      expect((await profiles()).map(({ userId }) => userId)).toEqual(["0", "1"]);
    });

    test("that is sent again stores new events and reports all others as duplicates", async () => {
      const batch = (from: number, to: number) =>
        Array.from({ length: to - from }, (_, index) => ({
          identity: user(String((from + index) % 7)),
          name: "seen",
          eventId: `e${from + index}`,
          ...((from + index) % 2 === 0 && { timestamp: AT }),
        }));
      const first = await events.call(batchRecordEvents, { events: batch(0, 600) }, as);
      const again = await events.call(batchRecordEvents, { events: batch(0, 610) }, as);
      expect(first.results.every(({ status }) => status === EventResultStatus.STORED)).toBe(true);
      expect(again.results.slice(0, 600).map(({ id, status }) => ({ id, status }))).toEqual(
        first.results.map(({ id }) => ({ id, status: EventResultStatus.DUPLICATE })),
      );
      expect(again.results.slice(600).every(({ status }) => status === EventResultStatus.STORED)).toBe(true);
    });

    test("may be empty or contain only invalid events, but not too many events", async () => {
      expect(await events.call(batchRecordEvents, { events: [] }, as)).toMatchObject({ results: [] });
      const { results } = await events.call(
        batchRecordEvents,
        { events: [{}] },
        { ...as, idempotencyKey: "k" },
      );
      expect(results).toMatchObject([{ status: EventResultStatus.REJECTED }]);
      const many = Array.from({ length: 5001 }, () => ({ identity: user("1"), name: "seen" }));
      await expectReason(events.call(batchRecordEvents, { events: many }, as), "FIELD_INVALID", {
        fields: [{ field: "events" }],
      });
      expect(await profiles()).toEqual([]);
    });

    test("of 5,000 takes few transactions", async () => {
      const before = await events.count("muster_ingest_commits_total");
      const many = Array.from({ length: 5000 }, (_, index) => ({
        identity: user(String(index % 1000)),
        name: "seen",
      }));
      const { results } = await events.call(batchRecordEvents, { events: many }, as);
      expect(results.every(({ status }) => status === EventResultStatus.STORED)).toBe(true);
      // At least 20 events share a transaction, however slow the machine is.
      expect((await events.count("muster_ingest_commits_total")) - before).toBeLessThanOrEqual(250);
    });

    test("returns the same results for an idempotency key", async () => {
      const keyed = { ...as, idempotencyKey: "batch" };
      const request = { events: [{ identity: user("1"), name: "seen" }, {}] };
      const first = await events.call(batchRecordEvents, request, keyed);
      expect(await events.call(batchRecordEvents, request, keyed)).toEqual(first);
      const { profiles: found } = await events.call(listProfiles, {}, as);
      const { events: listed } = await events.call(listEvents, { profileId: found[0]?.id ?? "" }, as);
      expect(listed).toHaveLength(1);
    });
  });
});
