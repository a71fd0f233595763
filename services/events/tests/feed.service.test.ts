// Tests the feed for the segments service: positions, missed messages, profiles and scans in one snapshot.
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  BatchGetProfilesResponseSchema,
  EventFeedService,
  type ScanProfileEventsRequest,
} from "@muster/contracts/muster/events/v1/event_feed_service_pb";
import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import { TrackedEventsRecordedSchema } from "@muster/contracts/muster/events/v1/events_events_pb";
import { ProfileService } from "@muster/contracts/muster/events/v1/profile_service_pb";
import { TrackingService } from "@muster/contracts/muster/events/v1/tracking_service_pb";
import {
  ALL_SHARDS,
  bytesToUuid,
  type OrganizationId,
  type ProfileId,
  randomIds,
  SHARD_COUNT,
  shardOf,
  systemClock,
  uuidToBytes,
} from "@muster/core";
import { ENGINES } from "@muster/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { EventsUnderTest, newOrganization } from "./events-under-test.ts";

const { batchRecordEvents } = EventService.method;
const { createProfile, listProfiles, mergeProfile } = ProfileService.method;
const LINKED = 510;
const user = (value: string) => ({ case: "userId", value }) as const;

interface Scanned {
  readonly position: bigint;
  readonly more: boolean;
  readonly parts: number;
  readonly longProfileId: string | undefined;
  readonly profiles: Map<string, { name: string; occurredMs: number; id: string; properties: string }[]>;
}

describe.each(ENGINES)("the feed on %s", (engine) => {
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

  async function scan(shard: number, more: Partial<ScanProfileEventsRequest> = {}): Promise<Scanned> {
    const { $typeName: _, ...rest } = more;
    const request = { organizationId: uuidToBytes(organizationId), shard, profileLimit: 1000, ...rest };
    const profiles: Scanned["profiles"] = new Map();
    let head: { position: bigint; more: boolean } | undefined;
    let parts = 0;
    let longProfileId: string | undefined;
    for await (const { part } of events.feed.scanProfileEvents(request)) {
      expect(longProfileId).toBeUndefined();
      if (part.case === "longProfileId") longProfileId = bytesToUuid(part.value);
      if (part.case === "snapshot") {
        expect(head).toBeUndefined();
        head = part.value;
      } else if (part.case === "profile") {
        parts += 1;
        const id = bytesToUuid(part.value.profileId);
        const run = profiles.get(id) ?? [];
        // The parts of a profile are consecutive.
        if (profiles.has(id)) expect([...profiles.keys()].at(-1)).toBe(id);
        for (const event of part.value.events) {
          const { name, properties } = event;
          run.push({ name, properties, occurredMs: Number(event.occurredMs), id: bytesToUuid(event.id) });
        }
        profiles.set(id, run);
      }
    }
    if (head === undefined) throw new Error("no snapshot in the scan");
    return { ...head, parts, longProfileId, profiles };
  }

  async function record(
    count: number,
    of: (index: number) => { who: string; name: string; atMs: number; properties?: string },
  ) {
    const sent = Array.from({ length: count }, (_, index) => {
      const { who, name, atMs, properties } = of(index);
      return {
        identity: user(who),
        name,
        timestamp: timestampFromMs(atMs),
        ...(properties !== undefined && { properties }),
      };
    });
    return (await events.call(batchRecordEvents, { events: sent }, as)).results;
  }

  test("scans hold every profile of the shard, with its events by time and id", async () => {
    const results = await record(1500, (index) => ({
      who: String(index % 40),
      name: index % 3 === 0 ? "paid" : "seen",
      atMs: (index * 7919) % 500,
      properties: `{"i":${index}}`,
    }));
    const { profile: idle } = await events.call(createProfile, { userId: "idle" }, as);
    const all = new Map<string, number>();
    for (const shard of ALL_SHARDS) {
      const { profiles, position, more } = await scan(shard);
      expect(more).toBe(false);
      expect(position).toBe((await events.feed.getPositions({})).positions[shard]);
      expect([...profiles.keys()].sort()).toEqual([...profiles.keys()]);
      for (const [id, run] of profiles) {
        expect(shardOf(organizationId, id)).toBe(shard);
        const keys = run.map((event) => `${String(event.occurredMs).padStart(6, "0")}/${event.id}`);
        expect([...keys].sort()).toEqual(keys);
        all.set(id, run.length);
      }
      const named = await scan(shard, { eventNames: ["paid"] });
      expect([...named.profiles.keys()]).toEqual([...profiles.keys()]);
      for (const [id, run] of named.profiles) {
        expect(run).toEqual(profiles.get(id)?.filter(({ name }) => name === "paid"));
      }
      const manyNames = Array.from({ length: 900 }, (_, index) => `other${index}`).concat("paid");
      expect((await scan(shard, { eventNames: manyNames })).profiles).toEqual(named.profiles);
    }
    expect(all.get(idle?.id ?? "")).toBe(0);
    expect([...all.values()].reduce((sum, count) => sum + count, 0)).toBe(results.length);
  });

  test("a person with more links than a statement takes", { timeout: 120_000 }, async () => {
    const calls = Array.from({ length: LINKED }, (_, index) => ({
      type: "track",
      event: "seen",
      anonymousId: `v${index}`,
      timestamp: new Date((index * 7919) % 500).toISOString(),
    }));
    const links = calls.map(({ anonymousId }) => ({ type: "alias", userId: "u", previousId: anonymousId }));
    await events.call(TrackingService.method.batch, { batch: [...calls, ...links] }, as);
    const { profiles } = await events.call(listProfiles, { userId: "u" }, as);
    const id = profiles[0]?.id ?? "";
    const { profiles: scanned } = await scan(shardOf(organizationId, id), { eventNames: ["seen"] });
    const seen = scanned.get(id) ?? [];
    expect(seen).toHaveLength(LINKED);
    const inOrder = seen.toSorted((a, b) => a.occurredMs - b.occurredMs || (a.id < b.id ? -1 : 1));
    expect(seen).toEqual(inOrder);
  });

  test("support pages and a restriction to given profiles", async () => {
    // Enough that a shard without several profiles is out of the question.
    await record(800, (index) => ({ who: String(index), name: "seen", atMs: 1 }));
    const whole = await scan(3);
    const ids = [...whole.profiles.keys()];
    expect(ids.length).toBeGreaterThan(3);
    const walked: string[] = [];
    for (let after: Uint8Array = new Uint8Array(0); ; ) {
      const page = await scan(3, { profileLimit: 2, afterProfileId: after });
      walked.push(...page.profiles.keys());
      if (!page.more) break;
      after = uuidToBytes(walked.at(-1) ?? "");
    }
    expect(walked).toEqual(ids);
    const stranger = randomIds.next(1);
    const requested = [ids[2], ids[0], stranger].map((id) => uuidToBytes(id ?? ""));
    expect([...(await scan(3, { profileIds: requested })).profiles.keys()]).toEqual([ids[0], ids[2]]);
    expect([...(await scan(4, { profileIds: requested })).profiles.keys()]).toEqual([]);
  });

  test("end before the first profile with too many events, and read none of them", async () => {
    const names = Array.from({ length: 400 }, (_, index) => String(index));
    await record(names.length, (index) => ({ who: names[index] ?? "", name: "seen", atMs: 1 }));
    const ids = [...(await scan(3)).profiles.keys()];
    const [, short = "", long = ""] = ids;
    const { profiles } = await events.call(listProfiles, { pageSize: 500 }, as);
    const userOf = (id: string) => profiles.find((one) => one.id === id)?.userId ?? "";
    // With the first event of each: 1,300 and 1,301 events.
    await record(1_299, (index) => ({ who: userOf(short), name: "seen", atMs: index }));
    await record(1_300, (index) => ({ who: userOf(long), name: "seen", atMs: index }));
    const sizes = (scanned: Scanned) => Array.from(scanned.profiles.values(), (run) => run.length);
    const bounded = { profileEventsMax: 1_300 };
    for (const more of [{}, { eventNames: ["seen"] }]) {
      const scanned = await scan(3, { ...bounded, ...more });
      expect(scanned.longProfileId).toBe(long);
      expect([...scanned.profiles.keys()]).toEqual(ids.slice(0, 2));
      expect(sizes(scanned)).toEqual([1, 1_300]);
    }
    const after = await scan(3, { ...bounded, afterProfileId: uuidToBytes(long) });
    expect(after.longProfileId).toBeUndefined();
    expect([...after.profiles.keys()]).toEqual(ids.slice(3));
    const profileIds = [long, ids[0]].map((id) => uuidToBytes(id ?? ""));
    const requested = await scan(3, { ...bounded, profileIds });
    expect([requested.longProfileId, [...requested.profiles.keys()]]).toEqual([long, [ids[0]]]);
    expect(sizes(await scan(3, { profileIds }))).toEqual([1, 1_301]);
    // Events of other names are not read.
    expect((await scan(3, { ...bounded, eventNames: ["paid"] })).longProfileId).toBeUndefined();
    // The events of a person count together.
    await events.call(mergeProfile, { profileId: ids[0] ?? "", into: short }, as);
    const merged = await scan(3, bounded);
    expect([merged.longProfileId, sizes(merged)]).toEqual([short, []]);
  });

  test("a profile with many large events comes in parts of bounded size", async () => {
    const properties = JSON.stringify({ a: "x".repeat(50_000) });
    for (let round = 0; round < 3; round += 1) {
      await record(70, (index) => ({ who: "13", name: "seen", atMs: round * 1000 + index, properties }));
    }
    const { profiles } = await events.call(listProfiles, {}, as);
    const { parts, profiles: scanned } = await scan(shardOf(organizationId, profiles[0]?.id ?? ""));
    expect([...scanned.values()].map((run) => run.length)).toEqual([210]);
    expect(new Set([...scanned.values()].flat().map(({ id }) => id)).size).toBe(210);
    expect(parts).toBeGreaterThanOrEqual(40);
  });

  test("a scan and the messages after its position contain all events despite concurrent commits", async () => {
    await record(60, (index) => ({ who: String(index % 12), name: "seen", atMs: index }));
    let isDone = false;
    const writing = (async () => {
      for (let round = 0; round < 15; round += 1) {
        await record(40, (index) => ({ who: String(index % 14), name: "seen", atMs: index }));
      }
      isDone = true;
    })();
    const scans: Scanned[][] = [];
    while (!isDone || scans.length === 0) {
      // SQLite returns synchronously, but the writers need a turn of the event loop.
      await new Promise((resolve) => setImmediate(resolve));
      scans.push(await Promise.all(ALL_SHARDS.map((shard) => scan(shard))));
    }
    await writing;
    const { envelopes, events: published } = await events.announced();
    const own = uuidToBytes(organizationId);
    const total = published.filter((one) => own.equals(one.organizationId)).length;
    expect(total).toBe(60 + 15 * 40);
    for (const round of scans) {
      for (const [shard, { position, profiles }] of round.entries()) {
        const before = envelopes
          .filter(
            (one) => one.shard === shard && one.position <= position && one.type.includes("tracked_event"),
          )
          .flatMap(({ data }) => fromBinary(TrackedEventsRecordedSchema, data).events)
          .filter((one) => own.equals(one.organizationId))
          .map(({ id }) => bytesToUuid(id));
        expect(
          [...profiles.values()]
            .flat()
            .map(({ id }) => id)
            .sort(),
        ).toEqual(before.sort());
      }
    }
  });

  test("a reader that disconnects releases the snapshot", async () => {
    await record(300, (index) => ({ who: String(index), name: "seen", atMs: 1 }));
    for (let round = 0; round < 30; round += 1) {
      for await (const { part } of events.feed.scanProfileEvents({
        organizationId: uuidToBytes(organizationId),
        shard: round % SHARD_COUNT,
        profileLimit: 1000,
      })) {
        if (part.case === "snapshot") break;
      }
    }
    expect((await scan(0)).profiles.size).toBeGreaterThan(0);
  });

  test("the outbox is read from any position, in order and bounded", async () => {
    const properties = JSON.stringify({ a: "x".repeat(100_000) });
    for (let round = 0; round < 2; round += 1) {
      await record(35, () => ({ who: "13", name: "seen", atMs: 1, properties }));
    }
    const { profiles } = await events.call(listProfiles, {}, as);
    const shard = shardOf(organizationId, profiles[0]?.id ?? "");
    const head = (await events.feed.getPositions({})).positions[shard] ?? 0n;
    const start = head - 14n;
    const first = await events.feed.readOutbox({ shard, afterPosition: start, limit: 1000 });
    const sizes = first.envelopes.map(({ data }) => data.byteLength);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(4 * 1024 * 1024);
    expect(first.envelopes.map(({ position }) => position)).toEqual(
      first.envelopes.map((_, index) => start + BigInt(index) + 1n),
    );
    expect(first.envelopes.length).toBeGreaterThan(4);
    expect((await events.feed.readOutbox({ shard, afterPosition: head, limit: 10 })).envelopes).toEqual([]);
    expect((await events.feed.readOutbox({ shard, afterPosition: start, limit: 2 })).envelopes).toHaveLength(
      2,
    );
  });

  test("profiles by id: the existing profiles of the requested organization", async () => {
    const { profile } = await events.call(createProfile, { userId: "13", traits: '{"a":1}' }, as);
    const profileIds = [uuidToBytes(profile?.id ?? ""), uuidToBytes(randomIds.next(1))];
    const get = (organization: OrganizationId) =>
      events.feed.batchGetProfiles({ organizationId: uuidToBytes(organization), profileIds });
    expect((await get(organizationId)).profiles).toEqual([profile]);
    expect((await get(newOrganization())).profiles).toEqual([]);
  });

  test("a response of large profiles is bounded and names the profiles that it leaves out", async () => {
    const traits = JSON.stringify({ text: "x".repeat(65_000) });
    const ids: string[] = [];
    for (let index = 0; index < 70; index += 1)
      ids.push((await events.call(createProfile, { userId: `${index}`, traits }, as)).profile?.id ?? "");
    const found: string[] = [];
    let responses = 0;
    for (let left: Uint8Array[] = ids.map(uuidToBytes); left.length > 0; responses += 1) {
      const request = { organizationId: uuidToBytes(organizationId), profileIds: left };
      const response = await events.feed.batchGetProfiles(request);
      expect(toBinary(BatchGetProfilesResponseSchema, response).byteLength).toBeLessThan(4 * 1024 * 1024);
      found.push(...response.profiles.map(({ id }) => id));
      left = response.leftProfileIds;
    }
    expect(responses).toBe(2);
    expect(found.toSorted()).toEqual(ids.toSorted());
  });

  test("users and profiles are resolved by id, byte for byte, within their organization", async () => {
    const ids = new Map<string, string>();
    for (const userId of ["13", "013", "ada", "Ada", "ada ", "é"]) {
      ids.set(userId, (await events.call(createProfile, { userId }, as)).profile?.id ?? "");
    }
    await events.call(createProfile, { anonymousId: "bo" }, as);
    const some = ids.get("13") ?? "";
    const resolve = (organization: OrganizationId) =>
      events.feed.batchResolveProfiles({
        organizationId: uuidToBytes(organization),
        userIds: [...ids.keys(), "bo", "nobody", ""],
        profileIds: [uuidToBytes(some), uuidToBytes(randomIds.next(1))],
      });
    const found = await resolve(organizationId);
    expect(new Map(found.users.map(({ userId, profileId }) => [userId, bytesToUuid(profileId)]))).toEqual(
      ids,
    );
    expect(found.profileIds.map((id) => bytesToUuid(id))).toEqual([some]);
    const foreign = await resolve(newOrganization());
    expect([foreign.users, foreign.profileIds]).toEqual([[], []]);
  });

  test("a sample is random, from one shard, and includes the number of all profiles", async () => {
    const ids = new Set<string>();
    for (let index = 0; index < 60; index += 1)
      ids.add((await events.call(createProfile, { userId: `${index}` }, as)).profile?.id ?? "");
    const shards = Map.groupBy([...ids].sort(), (id) => shardOf(organizationId, id));
    const [shard, inShard] = [...shards].sort(([, a], [, b]) => b.length - a.length)[0] ?? [0, []];
    const sample = async (limit: number, seed: number, organization = organizationId) => {
      const request = { organizationId: uuidToBytes(organization), shard, limit, seed: BigInt(seed) };
      const { profileCount, profileIds } = await events.feed.sampleProfiles(request);
      return { profileCount, ids: profileIds.map((id) => bytesToUuid(id)) };
    };
    const whole = await sample(10_000, 1);
    expect(whole.profileCount).toBe(60n);
    expect([...whole.ids].sort()).toEqual(inShard);
    expect(await sample(10_000, 1)).toEqual(whole);
    expect((await sample(1, 1)).ids).toEqual(whole.ids.slice(0, 1));
    const firsts = new Set<string | undefined>();
    for (let seed = 0; seed < 40; seed += 1) firsts.add((await sample(1, seed)).ids[0]);
    expect(firsts.size).toBeGreaterThan(1);
    expect(await sample(5, 1, newOrganization())).toEqual({ profileCount: 0n, ids: [] });
  });

  test("ids of a wrong length are rejected", async () => {
    const organization = uuidToBytes(organizationId);
    const bad = [new Uint8Array(15)];
    const invalid = { reason: "FIELD_INVALID" };
    await expect(
      events.feed.batchGetProfiles({ organizationId: organization, profileIds: bad }),
    ).rejects.toMatchObject(invalid);
    await expect(scan(0, { profileIds: bad })).rejects.toMatchObject(invalid);
    await expect(scan(0, { afterProfileId: new Uint8Array(3) })).rejects.toMatchObject(invalid);
    await expect(
      events.feed.batchResolveProfiles({ organizationId: organization, profileIds: bad }),
    ).rejects.toMatchObject(invalid);
    expect(EventFeedService.methods).toHaveLength(8);
  });
});

test("a scan of an embedded database lets the event loop turn", async () => {
  const events = await EventsUnderTest.open("sqlite", { clock: systemClock });
  try {
    const organizationId = newOrganization();
    for (let batch = 0; batch < 4; batch += 1) {
      const recorded = Array.from({ length: 2_500 }, () => ({ identity: user("ada"), name: "viewed" }));
      await events.call(batchRecordEvents, { events: recorded }, { organizationId });
    }
    const { profiles } = await events.call(listProfiles, {}, { organizationId });
    const shard = shardOf(organizationId, profiles[0]?.id as ProfileId);
    const request = { organizationId: uuidToBytes(organizationId), shard, profileLimit: 10 };
    let turns = 0;
    let scanned = 0;
    let isDone = false;
    const countTurns = (): void => {
      turns += 1;
      if (!isDone) setImmediate(countTurns);
    };
    setImmediate(countTurns);
    for await (const { part } of events.feed.scanProfileEvents(request)) {
      if (part.case === "profile") scanned += part.value.events.length;
    }
    isDone = true;
    expect(scanned).toBe(10_000);
    // Several times for each slice of a few milliseconds, and never without slices.
    expect(turns).toBeGreaterThanOrEqual(2);
  } finally {
    await events.close();
  }
});
