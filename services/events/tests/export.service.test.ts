// Tests exports: all data about one person over all profiles, and no data about other persons.
import { create } from "@bufbuild/protobuf";
import { AlertService } from "@muster/contracts/muster/events/v1/alert_service_pb";
import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import {
  type ExportedRecord,
  ExportedRecordSchema,
  ExportService,
} from "@muster/contracts/muster/events/v1/export_service_pb";
import { ProfileService } from "@muster/contracts/muster/events/v1/profile_service_pb";
import {
  type ListMembershipsRequest,
  ListMembershipsResponseSchema,
  SegmentPrivacyService,
} from "@muster/contracts/muster/segments/v1/segment_privacy_service_pb";
import { BODY_BYTES_MAX, bytesToUuid, type OrganizationId } from "@muster/core";
import { AppError } from "@muster/errors";
import type { Caller } from "@muster/rpc";
import { ENGINES, FakeClock } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { sections } from "../src/export/sections.ts";
import { EventsUnderTest, newOrganization } from "./events-under-test.ts";

const TEN_KIB = "x".repeat(10 * 1024);

/** A segments service for exports: every profile is in one segment and has left another. */
class FakeSegmentsService {
  readonly asked: ListMembershipsRequest[] = [];
  isBehind = false;
  readonly caller: Caller = {
    unary: async (method, request) => {
      expect(method).toBe(SegmentPrivacyService.method.listMemberships);
      if (this.isBehind) throw new AppError("NOT_YET_CONSISTENT");
      const asked = request as ListMembershipsRequest;
      this.asked.push(asked);
      const memberships = [asked.profileId, ...asked.mergedProfileIds].flatMap((profileId) => [
        { profileId, segmentId: "1", segmentSlug: "shoes", member: true, enteredMs: 1n, changedMs: 1n },
        { profileId, segmentId: "2", segmentSlug: "hats", member: false, enteredMs: 1n, changedMs: 2n },
      ]);
      return { message: create(ListMembershipsResponseSchema, { memberships }), headers: new Map() };
    },
    stream: () => {
      throw new Error("events opens no stream");
    },
  };
}

describe.each(ENGINES)("exports on %s", (engine) => {
  let events: EventsUnderTest;
  let clock: FakeClock;
  let segments: FakeSegmentsService;
  let organizationId: OrganizationId;

  beforeAll(async () => {
    clock = new FakeClock();
    segments = new FakeSegmentsService();
    events = await EventsUnderTest.open(engine, { clock, segments: segments.caller });
  });
  afterAll(() => events.close());
  beforeEach(() => {
    organizationId = newOrganization();
    segments.asked.length = 0;
    segments.isBehind = false;
  });

  /** Reads the JSON document. */
  async function exported(profileId: string, as = organizationId): Promise<{ records: ExportedRecord[] }> {
    let text = "";
    for await (const piece of events
      .client(ExportService, { organizationId: as })
      .getProfileExport({ profileId })) {
      expect(piece.contentType).toBe("application/json");
      text += Buffer.from(piece.data).toString();
    }
    const { records } = JSON.parse(text) as { records: { kind: string; data: object }[] };
    return {
      records: records.map(({ kind, data }) =>
        create(ExportedRecordSchema, { kind, data: JSON.stringify(data) }),
      ),
    };
  }

  async function streamed(profileId: string): Promise<ExportedRecord[]> {
    const client = events.client(ExportService, { organizationId });
    const records: ExportedRecord[] = [];
    for await (const part of client.exportProfile({ profileId })) records.push(...part.records);
    return records;
  }

  async function newProfile(userId: string, fields = {}): Promise<string> {
    const profiles = events.client(ProfileService, { organizationId });
    const { profile } = await profiles.createProfile({ userId, ...fields });
    return profile?.id ?? "";
  }

  async function record(userId: string, name: string, fields = {}): Promise<void> {
    const client = events.client(EventService, { organizationId });
    await client.recordEvent({ event: { identity: { case: "userId", value: userId }, name, ...fields } });
  }

  const merge = (profileId: string, into: string) =>
    events.client(ProfileService, { organizationId }).mergeProfile({ profileId, into });

  function byKind(records: readonly ExportedRecord[]): Record<string, Record<string, unknown>[]> {
    const recordsByKind = records.map(({ kind, data }) => [kind, JSON.parse(data)] as const);
    return Object.fromEntries(
      [...Map.groupBy(recordsByKind, ([kind]) => kind)].map(([kind, own]) => [
        kind,
        own.map(([, data]) => data),
      ]),
    );
  }

  test("contains all data by kind, and no data of other persons", async () => {
    const ada = await newProfile("ada", { email: "Ada@example.com", name: "Ada", traits: '{"plan":"pro"}' });
    await newProfile("mallory", { email: "mallory@example.com" });
    const nowMs = clock.nowMs();
    const time = { seconds: BigInt(nowMs / 1000), nanos: 0 };
    await record("ada", "page.viewed", { properties: '{"name":"Pricing"}', timestamp: time, eventId: "e1" });
    await record("ada", "withdraw", { properties: '{"amount":"100.50","time":5}', timestamp: time });
    await record("mallory", "page.viewed", { properties: '{"name":"Mallory\'s page"}', timestamp: time });
    const { records } = await exported(ada);
    const recordsByKind = byKind(records);
    const at = new Date(nowMs).toISOString();
    expect(recordsByKind.profile).toEqual([
      expect.objectContaining({
        id: ada,
        user_id: "ada",
        email: "Ada@example.com",
        name: "Ada",
        traits: { plan: "pro" },
        create_time: at,
      }),
    ]);
    expect(recordsByKind.event).toHaveLength(2);
    expect(recordsByKind.event).toContainEqual({
      event_id: "e1",
      profile_id: ada,
      name: "page.viewed",
      properties: { name: "Pricing" },
      timestamp: at,
      receive_time: at,
    });
    expect(recordsByKind.event_count).toEqual([
      { profile_id: ada, event_name: "page.viewed", count: 1 },
      { profile_id: ada, event_name: "withdraw", count: 1 },
    ]);
    expect(recordsByKind.page_views).toEqual([{ profile_id: ada, views: [{ time: at, page: "Pricing" }] }]);
    expect(recordsByKind.alert).toEqual([
      expect.objectContaining({ profile_id: ada, code: 1100, event_name: "withdraw", timestamp: at }),
    ]);
    expect(recordsByKind.amounts?.length).toBeGreaterThan(0);
    expect(recordsByKind.membership).toEqual([
      expect.objectContaining({ profile_id: ada, segment_slug: "shoes", member: true, entered_ms: 1 }),
      expect.objectContaining({ profile_id: ada, segment_slug: "hats", member: false }),
    ]);
    expect(JSON.stringify(records).toLowerCase()).not.toContain("mallory");
    expect(await streamed(ada)).toEqual(records);
  });

  test("contains the amounts of the alert history, each with the instant", async () => {
    const ada = await newProfile("7");
    const alerts = events.client(AlertService, { organizationId });
    for (const [amount, time] of [
      ["42.50", 100n],
      ["0.07", 4000n],
      ["1", 100n],
    ] as const) {
      await alerts.recordAction({ type: "deposit", amount, userId: 7n, time });
    }
    const recordsByKind = byKind((await exported(ada)).records).amounts ?? [];
    const amounts = recordsByKind.flatMap((cell) => cell.amounts as { order_ms: number; amount: string }[]);
    const texts = new Set(amounts.map(({ order_ms, amount }) => `${order_ms}: ${amount}`));
    // The rising series contains each action; the summed series contains the sum of each instant.
    expect(texts).toEqual(new Set(["100000: 42.5", "100000: 1", "100000: 43.5", "4000000: 0.07"]));
  });

  test("covers all profiles of a person, whichever profile is named", async () => {
    const [ada, laptop, phone] = [
      await newProfile("ada"),
      await newProfile("laptop"),
      await newProfile("phone"),
    ];
    for (const userId of ["ada", "laptop", "phone"]) await record(userId, `${userId} did`);
    await merge(phone, laptop);
    await merge(laptop, ada);
    const { records } = await exported(ada);
    const recordsByKind = byKind(records);
    expect(recordsByKind.profile?.map(({ user_id }) => user_id).sort()).toEqual(["ada", "laptop", "phone"]);
    expect(recordsByKind.event?.map(({ profile_id, name }) => [profile_id, name]).sort()).toEqual(
      [
        [ada, "ada did"],
        [laptop, "laptop did"],
        [phone, "phone did"],
      ].sort(),
    );
    expect(
      recordsByKind.merge?.map(({ profile_id, into_profile_id }) => [profile_id, into_profile_id]).sort(),
    ).toEqual(
      [
        [laptop, ada],
        [phone, laptop],
      ].sort(),
    );
    expect(recordsByKind.membership).toHaveLength(6);
    for (const profileId of [laptop, phone]) expect((await exported(profileId)).records).toEqual(records);
    await events.client(ProfileService, { organizationId }).unmergeProfile({ profileId: laptop });
    const left = byKind((await exported(ada)).records);
    expect(left.event?.map(({ name }) => name)).toEqual(["ada did"]);
  });

  test("segments receives all profiles, in requests of bounded size", async () => {
    const root = await newProfile("root");
    for (let index = 0; index < 21; index += 1) await merge(await newProfile(`device ${index}`), root);
    const { records } = await exported(root);
    const recordsByKind = byKind(records).membership ?? [];
    expect(new Set(recordsByKind.map((one) => `${one.profile_id}/${one.segment_slug}`)).size).toBe(
      recordsByKind.length,
    );
    expect(recordsByKind).toHaveLength(2 * 22);
    expect(segments.asked.map(({ mergedProfileIds }) => mergedProfileIds.length)).toEqual([9, 9, 3]);
    for (const asked of segments.asked) expect(bytesToUuid(asked.organizationId)).toBe(organizationId);
  });

  test("an export of any size is streamed in parts, also as a document", async () => {
    const ada = await newProfile("ada");
    const client = events.client(EventService, { organizationId });
    const large = (index: number) => ({
      identity: { case: "userId", value: "ada" } as const,
      name: `${index}`,
      properties: JSON.stringify({ text: TEN_KIB }),
    });
    for (let batch = 0; batch < 3; batch += 1) {
      const input = Array.from({ length: 150 }, (_, index) => large(batch * 150 + index));
      await client.batchRecordEvents({ events: input });
    }
    const names = new Set<string>();
    const exports = events.client(ExportService, { organizationId });
    let bytes = 0;
    for await (const { data } of exports.getProfileExport({ profileId: ada })) {
      expect(data.byteLength).toBeLessThan(80 * 1024);
      bytes += data.byteLength;
    }
    expect(bytes).toBeGreaterThan(BODY_BYTES_MAX);
    expect((await exported(ada)).records).toEqual(await streamed(ada));
    for await (const { records } of exports.exportProfile({ profileId: ada })) {
      expect(records.reduce((bytes, { data }) => bytes + data.length, 0)).toBeLessThan(300 * 1024);
      for (const { kind, data } of records) if (kind === "event") names.add(JSON.parse(data).name);
    }
    expect(names.size).toBe(450);
  });

  test("a stream shows one snapshot, whatever arrives during the read", async () => {
    const ada = await newProfile("ada");
    for (let index = 0; index < 60; index += 1) {
      await record("ada", `before ${index}`, { properties: JSON.stringify({ text: TEN_KIB }) });
    }
    const parts = events.client(ExportService, { organizationId }).exportProfile({ profileId: ada });
    const iterator = parts[Symbol.asyncIterator]();
    const first = await iterator.next();
    await record("ada", "after");
    const records = [...(first.value?.records ?? [])];
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) {
      records.push(...next.value.records);
    }
    const names = (byKind(records).event ?? []).map(({ name }) => String(name));
    expect(names).toHaveLength(60);
    expect(names).not.toContain("after");
    expect(JSON.stringify(await exported(ada))).toContain("after");
  });

  test("an idle reader is ended, and the number of readers is limited", async () => {
    const ada = await newProfile("ada");
    for (let index = 0; index < 60; index += 1) {
      await record("ada", `${index}`, { properties: JSON.stringify({ text: TEN_KIB }) });
    }
    const client = events.client(ExportService, { organizationId });
    const readers = Array.from({ length: 4 }, () =>
      client.exportProfile({ profileId: ada })[Symbol.asyncIterator](),
    );
    for (const reader of readers) expect((await reader.next()).done).toBe(false);
    await expectReason(streamed(ada), "OVERLOADED");
    await expectReason(exported(ada), "OVERLOADED");
    await clock.advance(30_000);
    const [reader] = readers;
    const rest = async () => {
      while (!(await reader?.next())?.done);
    };
    await expectReason(rest(), "OVERLOADED");
    expect(byKind(await streamed(ada)).event).toHaveLength(60);
    await Promise.all(readers.map((one) => one.return?.(undefined)));
  });

  test("HEAD finds the person and reads no record", async () => {
    const ada = await newProfile("ada");
    const headers = { "muster-http-method": "HEAD" };
    const client = events.client(ExportService, { organizationId, headers });
    const pieces = async (profileId: string): Promise<number> => {
      let count = 0;
      for await (const _ of client.getProfileExport({ profileId })) count += 1;
      return count;
    };
    expect(await pieces(ada)).toBe(0);
    await expect(pieces(newOrganization())).rejects.toMatchObject({ reason: "PROFILE_NOT_FOUND" });
  });

  test("a profile of another organization, an unknown profile and an invalid id are not found", async () => {
    const ada = await newProfile("ada");
    const notFound = { reason: "PROFILE_NOT_FOUND" };
    await expect(exported(ada, newOrganization())).rejects.toMatchObject(notFound);
    await expect(exported(newOrganization())).rejects.toMatchObject(notFound);
    await expect(exported("ada")).rejects.toMatchObject(notFound);
    await expect(streamed("ada")).rejects.toMatchObject(notFound);
    expect(segments.asked).toEqual([]);
    const reader = events.client(ExportService, { organizationId, scopes: ["profiles.read", "events.read"] });
    const denied = reader.getProfileExport({ profileId: ada })[Symbol.asyncIterator]();
    await expectReason(denied.next(), "PERMISSION_DENIED");
  });

  test("an export fails instead of showing stale memberships when segments is behind", async () => {
    const ada = await newProfile("ada");
    segments.isBehind = true;
    await expectReason(exported(ada), "NOT_YET_CONSISTENT");
    await expectReason(streamed(ada), "NOT_YET_CONSISTENT");
  });

  test("every table with profile ids has a section or a documented exception", async () => {
    const tables = await events.stored.database.reader
      .raw(
        engine === "sqlite"
          ? "select m.name as name from sqlite_master m join pragma_table_info(m.name) c where m.type = 'table' and c.name = 'profile_id'"
          : "select table_name as name from information_schema.columns where table_schema = database() and column_name = 'profile_id'",
      )
      .then((rows: unknown) => (engine === "sqlite" ? rows : (rows as unknown[])[0]));
    const known = new Set([
      ...sections.map(({ table }) => table),
      // The first kind of record.
      "profiles",
      // The identities of `profiles` again, in the compared form.
      "profile_identities",
      // Only the existence of a history; the amounts contain the history.
      "alert_profiles",
      // Persons that no longer exist.
      "erasure_counts",
      "erasure_tasks",
      // Subjects of stored responses. Responses are at most a day old and repeat exported data.
      "idempotency_subjects",
    ]);
    const uncovered = (tables as { name: string }[]).filter(({ name }) => !known.has(name));
    expect(uncovered).toEqual([]);
    expect(tables).not.toEqual([]);
  });
});
