// Tests merging and undoing: reads, lists, updates and published messages.
import { fromBinary } from "@bufbuild/protobuf";
import { timestampDate, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import {
  ProfileMergedSchema,
  ProfileUnmergedSchema,
} from "@muster/contracts/muster/events/v1/events_events_pb";
import { ProfileService } from "@muster/contracts/muster/events/v1/profile_service_pb";
import { ALL_SHARDS, bytesToUuid, type OrganizationId, randomIds, shardOf, uuidToBytes } from "@muster/core";
import { ENGINES, FakeClock } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { EventsUnderTest, newOrganization } from "./events-under-test.ts";

const { createProfile, getProfile, listProfiles, updateProfile, mergeProfile, unmergeProfile } =
  ProfileService.method;
const { recordEvent, recordProfileEvent, batchRecordEvents, listEvents } = EventService.method;

describe.each(ENGINES)("merging on %s", (engine) => {
  const clock = new FakeClock();
  let events: EventsUnderTest;
  let organizationId: OrganizationId;
  let as: { organizationId: OrganizationId };

  beforeAll(async () => {
    events = await EventsUnderTest.open(engine, { clock });
  });
  afterAll(() => events.close());
  beforeEach(() => {
    organizationId = newOrganization();
    as = { organizationId };
  });

  type Fields = Parameters<typeof events.call<typeof createProfile>>[1];
  async function created(fields: Fields): Promise<string> {
    await clock.advance(1000);
    const { profile } = await events.call(createProfile, fields, as);
    if (profile === undefined) throw new Error("no profile in the answer");
    return profile.id;
  }
  async function get(profileId: string) {
    const { profile } = await events.call(getProfile, { profileId }, as);
    if (profile === undefined) throw new Error("no profile in the answer");
    return profile;
  }
  const merge = (profileId: string, into: string) => events.call(mergeProfile, { profileId, into }, as);
  const unmerge = (profileId: string) => events.call(unmergeProfile, { profileId }, as);
  const listed = async (filters: Parameters<typeof events.call<typeof listProfiles>>[1] = {}) =>
    (await events.call(listProfiles, filters, as)).profiles.map(({ id }) => id);
  const namesOf = async (profileId: string): Promise<string[]> =>
    (await events.call(listEvents, { profileId }, as)).events.map(({ name }) => name);
  const seen = async (userId: string, name: string, atMs: number) =>
    events.call(
      recordEvent,
      { event: { identity: { case: "userId", value: userId }, name, timestamp: timestampFromMs(atMs) } },
      as,
    );

  describe("a profile group", () => {
    test("shows the root's fields, filled in the order of merging", async () => {
      const first = await created({ anonymousId: "a", name: "First", traits: '{"a":1,"b":1}' });
      const second = await created({
        anonymousId: "b",
        email: "B@x.org",
        name: "Second",
        traits: '{"b":2,"c":2.50}',
      });
      const third = await created({ userId: "u", traits: '{"d":3}' });
      await merge(second, third);
      const { profile } = await merge(first, third);
      expect(profile).toMatchObject({
        id: third,
        userId: "u",
        anonymousId: "b",
        email: "B@x.org",
        name: "Second",
        traits: '{"d":3,"b":2,"c":2.50,"a":1}',
      });
      expect(profile?.createTime).toEqual((await unmerge(first)).profile?.createTime);
      for (const id of [second, third]) expect((await get(id)).id).toBe(third);
    });

    test("keeps its visible fields when it is merged", async () => {
      const leaf = await created({ anonymousId: "a", email: "leaf@x.org", name: "Leaf" });
      const middle = await created({ anonymousId: "b", name: "Middle" });
      const later = await created({ anonymousId: "c", email: "later@x.org" });
      const root = await created({ userId: "u" });
      await merge(leaf, middle);
      await merge(middle, root);
      await merge(later, leaf);
      expect(await get(root)).toMatchObject({ anonymousId: "b", email: "leaf@x.org", name: "Middle" });
    });

    test("has at most the traits of a profile", async () => {
      const large = (key: string) => `{"${key}":"${"x".repeat(40_000)}"}`;
      const root = await created({ userId: "u", traits: large("a") });
      for (const key of ["b", "c"])
        await merge(await created({ anonymousId: key, traits: large(key) }), root);
      await merge(await created({ anonymousId: "d", traits: '{"small":1}' }), root);
      expect(Object.keys(JSON.parse((await get(root)).traits))).toEqual(["a", "small"]);
    });

    test("is found by every identity and listed once, and pages stay exact", async () => {
      const ids: string[] = [];
      for (let index = 0; index < 12; index += 1)
        ids.push(await created({ userId: `${index}`, email: `${index}@x.org` }));
      const [root = ""] = ids;
      for (const id of ids.slice(1, 6)) await merge(id, root);
      for (let index = 0; index < 6; index += 1) {
        expect(await listed({ userId: `${index}` })).toEqual([root]);
        expect(await listed({ userId: `${index}`, email: `${5 - index}@X.org` })).toEqual([root]);
        expect(await listed({ userId: `${index}`, email: "7@x.org" })).toEqual([]);
      }
      const walked: string[] = [];
      for (let pageToken = ""; ; ) {
        const page = await events.call(listProfiles, { pageSize: 2, pageToken }, as);
        expect(page.profiles.length).toBe(walked.length < 6 ? 2 : 1);
        walked.push(...page.profiles.map(({ id }) => id));
        pageToken = page.nextPageToken;
        if (pageToken === "") break;
      }
      expect(walked).toEqual([root, ...ids.slice(6)]);
    });

    test("lists the events of all its profiles, newest first, in stable pages", async () => {
      const ids = [];
      for (let index = 0; index < 70; index += 1) ids.push(await created({ userId: `${index}` }));
      const [root = ""] = ids;
      const sent = Array.from({ length: 600 }, (_, index) => ({
        identity: { case: "userId" as const, value: `${index % 7 === 0 ? 3 : (index * 31) % 70}` },
        name: `n${index % 3}`,
        timestamp: timestampFromMs((index * 7919) % 97),
      }));
      const { results } = await events.call(batchRecordEvents, { events: sent }, as);
      for (const id of ids.slice(1)) await merge(id, root);
      const order = (a: { at: number; id: string }, b: { at: number; id: string }) =>
        b.at - a.at || (a.id < b.id ? 1 : -1);
      const expected = results
        .map(({ id = "" }, index) => ({ id, at: (index * 7919) % 97, name: `n${index % 3}` }))
        .sort(order);
      const walk = async (profileId: string, pageSize: number, more: object = {}) => {
        const walked: string[] = [];
        for (let pageToken = ""; ; ) {
          const page = await events.call(listEvents, { profileId, pageSize, pageToken, ...more }, as);
          for (const event of page.events) {
            expect(event.profileId).toBe(root);
            walked.push(event.id);
          }
          pageToken = page.nextPageToken;
          if (pageToken === "") return walked;
        }
      };
      expect(await walk(root, 7)).toEqual(expected.map(({ id }) => id));
      expect(await walk(ids[5] ?? "", 500)).toEqual(expected.map(({ id }) => id));
      const some = expected.filter(({ at, name }) => name !== "n1" && at >= 20 && at <= 60);
      const filter = { name: ["n0", "n2"], from: timestampFromMs(20), to: timestampFromMs(60) };
      expect(await walk(root, 11, filter)).toEqual(some.map(({ id }) => id));
    });

    test("accepts a merged profile's id, also for new events; undo restores the profile", async () => {
      const visitor = await created({ anonymousId: "a" });
      const user = await created({ userId: "u" });
      await merge(visitor, user);
      const { event } = await events.call(recordProfileEvent, { profileId: visitor, name: "by id" }, as);
      expect(event?.profileId).toBe(user);
      const identity = { case: "anonymousId", value: "a" } as const;
      const sent = { identity, name: "by identity", eventId: "1", timestamp: timestampFromMs(5) };
      expect((await events.call(recordEvent, { event: sent }, as)).event?.profileId).toBe(user);
      // An equal event for the same group is a duplicate, whichever id names the group.
      const again = { ...sent, identity: { case: "userId", value: "u" } as const };
      expect((await events.call(recordEvent, { event: again }, as)).event?.profileId).toBe(user);
      await seen("u", "the user's own", 1);
      expect((await namesOf(user)).sort()).toEqual(["by id", "by identity", "the user's own"]);
      await unmerge(visitor);
      expect((await namesOf(visitor)).sort()).toEqual(["by id", "by identity"]);
      expect(await namesOf(user)).toEqual(["the user's own"]);
      await expectReason(events.call(recordEvent, { event: again }, as), "EVENT_CONFLICT");
    });
  });

  describe("undoing", () => {
    test("separates a profile with all profiles merged into it, at any level, in any order", async () => {
      const [a, b, c, d] = [
        await created({ userId: "a" }),
        await created({ userId: "b" }),
        await created({ userId: "c" }),
        await created({ userId: "d" }),
      ];
      await merge(a, b);
      await merge(b, c);
      await merge(d, a);
      expect(await listed()).toEqual([c]);
      expect((await unmerge(b)).profile?.id).toBe(b);
      expect(await listed()).toEqual([b, c]);
      expect((await get(a)).id).toBe(b);
      expect((await get(d)).id).toBe(c);
      expect(await listed({ userId: "a" })).toEqual([b]);
      await unmerge(a);
      await unmerge(d);
      expect(await listed()).toEqual([a, b, c, d]);
      for (const id of [a, b, c, d]) expect((await get(id)).id).toBe(id);
      // Repeats in the opposite direction.
      await merge(c, a);
      expect(await listed()).toEqual([a, b, d]);
    });

    test("records actor and times in the journal", async () => {
      const [a, b] = [await created({ userId: "a" }), await created({ userId: "b" })];
      const journal = async () => {
        const rows = await events.database
          .reader("profile_merges")
          .where({ organization_id: uuidToBytes(organizationId) })
          .orderBy("merge_id");
        return rows.map((row) => ({
          profile: bytesToUuid(row.profile_id),
          into: bytesToUuid(row.into_profile_id),
          actor: row.actor.toString(),
          mergedMs: Number(row.merged_ms),
          undone: row.undone_ms === null ? null : [Number(row.undone_ms), row.undone_actor.toString()],
        }));
      };
      await clock.advance(1000);
      await merge(a, b);
      const actor = `api_key:${organizationId}`;
      const first = { profile: a, into: b, actor, mergedMs: clock.nowMs() };
      expect(await journal()).toEqual([{ ...first, undone: null }]);
      await clock.advance(1000);
      await unmerge(a);
      const done = { ...first, undone: [clock.nowMs(), actor] };
      expect(await journal()).toEqual([done]);
      await merge(b, a);
      expect(await journal()).toEqual([
        done,
        { profile: b, into: a, actor, mergedMs: clock.nowMs(), undone: null },
      ]);
    });
  });

  test("an impossible merge returns the reason and changes nothing", async () => {
    const [a, b] = [await created({ userId: "a" }), await created({ userId: "b" })];
    const stranger = randomIds.next(1);
    const notFound = { reason: "PROFILE_NOT_FOUND" };
    await expectReason(merge(a, a), "FIELD_INVALID", { fields: [{ field: "into" }] });
    await expect(merge(stranger, b)).rejects.toMatchObject(notFound);
    await expect(merge(a, stranger)).rejects.toMatchObject(notFound);
    await expect(merge("nobody", b)).rejects.toMatchObject(notFound);
    await expect(unmerge(stranger)).rejects.toMatchObject(notFound);
    await expectReason(unmerge(a), "PROFILE_NOT_MERGED");
    await merge(a, b);
    await expectReason(merge(a, b), "PROFILE_MERGED_BEFORE");
    await expectReason(merge(b, a), "PROFILE_MERGED_BEFORE");
    await expectReason(unmerge(b), "PROFILE_NOT_MERGED");
    expect(await listed()).toEqual([b]);
  });

  test("another organization's profiles do not exist, on either side", async () => {
    const [a, b] = [await created({ userId: "a" }), await created({ userId: "b" })];
    const other = { organizationId: newOrganization() };
    const { profile } = await events.call(createProfile, { userId: "a" }, other);
    const foreign = profile?.id ?? "";
    const notFound = { reason: "PROFILE_NOT_FOUND" };
    await expect(merge(foreign, b)).rejects.toMatchObject(notFound);
    await expect(merge(a, foreign)).rejects.toMatchObject(notFound);
    await merge(a, b);
    await expect(events.call(unmergeProfile, { profileId: a }, other)).rejects.toMatchObject(notFound);
    await expect(events.call(getProfile, { profileId: a }, other)).rejects.toMatchObject(notFound);
    await expect(events.call(listEvents, { profileId: a }, other)).rejects.toMatchObject(notFound);
    expect((await events.call(listProfiles, {}, other)).profiles.map(({ id }) => id)).toEqual([foreign]);
  });

  test("a group has at most 1,000 profiles", async () => {
    const sent = Array.from({ length: 1001 }, (_, index) => ({
      identity: { case: "userId" as const, value: `${index}` },
      name: "seen",
      timestamp: timestampFromMs(index),
    }));
    const { results } = await events.call(batchRecordEvents, { events: sent }, as);
    const ids = results.map(({ profileId = "" }) => profileId);
    const [root = "", last = ""] = [ids[0], ids[1000]];
    // Writes the rows of 1,000 sequential merges directly, because the calls would take long.
    const merged = ids.slice(1, 999).map(uuidToBytes);
    await events.database.transaction(async (trx) => {
      await trx("profiles")
        .where("organization_id", uuidToBytes(organizationId))
        .whereIn("profile_id", merged)
        .update({ parent_id: uuidToBytes(root), root_id: uuidToBytes(root), merged_ms: 1 });
    });
    await merge(ids[999] ?? "", root);
    await expectReason(merge(last, root), "MERGE_LIMIT_REACHED");
    await expectReason(merge(root, last), "MERGE_LIMIT_REACHED");
    const walked: string[] = [];
    for (let pageToken = ""; ; ) {
      const page = await events.call(listEvents, { profileId: root, pageSize: 400, pageToken }, as);
      walked.push(...page.events.map(({ id }) => id));
      pageToken = page.nextPageToken;
      if (pageToken === "") break;
    }
    expect(walked).toEqual(
      results
        .slice(0, 1000)
        .map(({ id }) => id)
        .reverse(),
    );
    // The scan covers more events and more profiles than one statement holds.
    const scanned = await scan(shardOf(organizationId, root), [root]);
    expect(scanned.get(root)?.events).toEqual([...walked].reverse());
  });

  test("a retried merge returns the same response, and a failed merge saves no response", async () => {
    const [a, b] = [await created({ userId: "a" }), await created({ userId: "b" })];
    const keyed = { ...as, idempotencyKey: "once" };
    const first = await events.call(mergeProfile, { profileId: a, into: b }, keyed);
    expect(await events.call(mergeProfile, { profileId: a, into: b }, keyed)).toEqual(first);
    expect(
      await events.database.reader("profile_merges").where({ organization_id: uuidToBytes(organizationId) }),
    ).toHaveLength(1);
  });

  describe("an update", () => {
    test("by any id changes the group, and undo keeps the change on the root", async () => {
      const visitor = await created({ anonymousId: "a", name: "Visitor", traits: '{"a":1}' });
      const user = await created({ userId: "u" });
      await merge(visitor, user);
      const change = (profile: object) => events.call(updateProfile, { profileId: visitor, profile }, as);
      expect((await change({ name: "Ann" })).profile).toMatchObject({ id: user, name: "Ann" });
      expect((await change({ traits: '{"b":2}' })).profile?.traits).toBe('{"b":2}');
      await unmerge(visitor);
      expect(await get(visitor)).toMatchObject({ name: "Visitor", traits: '{"a":1}' });
      expect(await get(user)).toMatchObject({ name: "Ann", traits: '{"b":2}' });
    });

    test("with null clears a field that a merged profile fills; a later merge fills it again", async () => {
      const visitor = await created({ anonymousId: "a", name: "Visitor", email: "v@x.org" });
      const user = await created({ userId: "u" });
      await merge(visitor, user);
      const clear = (paths: string[]) =>
        events.call(updateProfile, { profileId: user, profile: {}, updateMask: { paths } }, as);
      const { profile } = await clear(["name", "email"]);
      expect([profile?.name, profile?.email, profile?.anonymousId]).toEqual([undefined, undefined, "a"]);
      expect(await get(user)).toEqual(profile);
      await merge(await created({ anonymousId: "b", name: "Later" }), user);
      expect((await get(user)).name).toBe("Later");
      expect(await get(visitor)).toMatchObject({ name: "Later" });
      await expect(clear(["user_id"])).rejects.toMatchObject({ fields: [{ field: "profile.user_id" }] });
    });

    test("may use every identity of the group, and no other identity", async () => {
      const visitor = await created({ anonymousId: "a", email: "v@x.org" });
      const user = await created({ userId: "u", email: "u@x.org" });
      const other = await created({ userId: "o", email: "o@x.org" });
      await merge(visitor, user);
      const change = (profile: object) => events.call(updateProfile, { profileId: user, profile }, as);
      await expectReason(change({ email: "o@x.org" }), "PROFILE_IDENTITY_TAKEN");
      // The group already shows the identity, so it does not move.
      expect((await change({ anonymousId: "a", name: "Ann" })).profile?.anonymousId).toBe("a");
      expect((await change({ email: "v@x.org" })).profile?.email).toBe("v@x.org");
      // The identity is free again, because it was the user's own.
      await events.call(updateProfile, { profileId: other, profile: { email: "u@x.org" } }, as);
      await unmerge(visitor);
      expect(await get(visitor)).toMatchObject({ anonymousId: "a" });
      expect((await get(visitor)).email).toBeUndefined();
      expect(await get(user)).toMatchObject({ userId: "u", email: "v@x.org" });
      expect(await listed({ email: "v@x.org" })).toEqual([user]);
      expect(await listed({ anonymousId: "a" })).toEqual([visitor]);
    });
  });

  interface Scanned {
    readonly traits: string;
    readonly createTimeMs: bigint;
    readonly events: string[];
  }
  async function scan(shard: number, profileIds: readonly string[] = []): Promise<Map<string, Scanned>> {
    const groups = new Map<string, Scanned>();
    const request = {
      organizationId: uuidToBytes(organizationId),
      shard,
      profileLimit: 1000,
      profileIds: profileIds.map(uuidToBytes),
    };
    for await (const { part } of events.feed.scanProfileEvents(request)) {
      if (part.case !== "profile") continue;
      const { profileId, traits, createTimeMs } = part.value;
      const id = bytesToUuid(profileId);
      const group = groups.get(id) ?? { traits, createTimeMs, events: [] };
      group.events.push(...part.value.events.map((event) => bytesToUuid(event.id)));
      groups.set(id, group);
    }
    return groups;
  }

  describe("the feed", () => {
    test("scans groups with all events in order, and no merged profile", async () => {
      const ids: string[] = [];
      for (let index = 0; index < 60; index += 1)
        ids.push(await created({ userId: `${index}`, traits: `{"t${index % 4}":${index}}` }));
      const sent = Array.from({ length: 3000 }, (_, index) => ({
        // One profile has more events than a statement holds.
        identity: { case: "userId" as const, value: `${index % 2 === 0 ? 20 : (index * 31) % 60}` },
        name: `n${index % 3}`,
        timestamp: timestampFromMs((index * 7919) % 1009),
      }));
      const { results } = await events.call(batchRecordEvents, { events: sent }, as);
      const roots = new Map(
        ids.map((id, index) => [
          id,
          ids[index < 20 ? index : index < 50 ? index - 20 - (index % 3) : index] ?? id,
        ]),
      );
      for (const [id, root] of roots) if (id !== root) await merge(id, root);
      const groups = new Map<string, Scanned>();
      for (const shard of ALL_SHARDS) {
        for (const [id, group] of await scan(shard)) {
          expect(shardOf(organizationId, id)).toBe(shard);
          groups.set(id, group);
        }
      }
      const expected = Map.groupBy(
        results.map(({ id = "", profileId = "" }, index) => ({
          id,
          root: rootsOfRoots(roots, profileId),
          at: (index * 7919) % 1009,
        })),
        ({ root }) => root,
      );
      expect([...groups.keys()].sort()).toEqual(
        [...new Set([...roots.keys()].map((id) => rootsOfRoots(roots, id)))].sort(),
      );
      for (const [id, group] of groups) {
        const own = (expected.get(id) ?? []).sort((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1));
        expect(group.events).toEqual(own.map(({ id: eventId }) => eventId));
        const profile = await get(id);
        expect(JSON.parse(group.traits)).toEqual(JSON.parse(profile.traits));
        expect(group.createTimeMs).toBe(
          BigInt(timestampDate(profile.createTime ?? timestampFromMs(0)).getTime()),
        );
      }
      const [merged = ""] = [...roots].filter(([id, root]) => id !== root).map(([id]) => id);
      expect((await scan(shardOf(organizationId, merged), [merged])).size).toBe(0);
    });

    test("resolves, reads and samples groups", async () => {
      const [a, b, c] = [
        await created({ userId: "a", name: "A" }),
        await created({ userId: "b" }),
        await created({ userId: "c" }),
      ];
      await merge(a, b);
      const organization = { organizationId: uuidToBytes(organizationId) };
      const profileIds = [a, b, c, randomIds.next(1)].map(uuidToBytes);
      const loaded = await events.feed.batchGetProfiles({ ...organization, profileIds });
      expect(loaded.profiles.map(({ id }) => id).sort()).toEqual([b, c].sort());
      expect(loaded.profiles.find(({ id }) => id === b)?.name).toBe("A");
      const found = await events.feed.batchResolveProfiles({
        ...organization,
        profileIds,
        userIds: ["a", "b", "c", "d"],
      });
      expect(new Map(found.users.map(({ userId, profileId }) => [userId, bytesToUuid(profileId)]))).toEqual(
        new Map([
          ["a", b],
          ["b", b],
          ["c", c],
        ]),
      );
      const roots = new Map(
        found.profileIds.map((id, index) => [
          bytesToUuid(id),
          bytesToUuid(found.rootIds[index] ?? new Uint8Array(16)),
        ]),
      );
      expect(roots).toEqual(
        new Map([
          [a, b],
          [b, b],
          [c, c],
        ]),
      );
      const sampled: string[] = [];
      for (const shard of ALL_SHARDS) {
        const sample = await events.feed.sampleProfiles({ ...organization, shard, limit: 100, seed: 1n });
        expect(sample.profileCount).toBe(2n);
        sampled.push(...sample.profileIds.map((id) => bytesToUuid(id)));
      }
      expect(sampled.sort()).toEqual([b, c].sort());
    });

    test("receives merges in the shards of both profiles, and events under the root", async () => {
      const [a, b] = [await created({ userId: "a", traits: '{"a":1}' }), await created({ userId: "b" })];
      await merge(a, b);
      await seen("a", "while merged", 1);
      await unmerge(a);
      await seen("a", "afterwards", 2);
      const own = uuidToBytes(organizationId);
      const { envelopes, events: published, profiles } = await events.announced();
      const [merged, unmerged] = ["merged", "unmerged"].map((what) =>
        envelopes.filter(({ type }) => type === `muster.events.profile.${what}.v1`),
      );
      const shards = [...new Set([a, b].map((id) => shardOf(organizationId, id)))].sort();
      const mine = (merged ?? [])
        .map((envelope) => ({ envelope, message: fromBinary(ProfileMergedSchema, envelope.data) }))
        .filter(({ message }) => own.equals(message.organizationId));
      expect(mine.map(({ envelope }) => envelope.shard).sort()).toEqual(shards);
      expect(
        mine.map(({ message }) => [bytesToUuid(message.profileId), bytesToUuid(message.intoProfileId)]),
      ).toEqual(shards.map(() => [a, b]));
      const undone = (unmerged ?? [])
        .map((envelope) => fromBinary(ProfileUnmergedSchema, envelope.data))
        .filter((message) => own.equals(message.organizationId));
      expect(
        undone.map((message) => [bytesToUuid(message.profileId), bytesToUuid(message.fromProfileId)]),
      ).toEqual(shards.map(() => [a, b]));
      const named = published
        .filter((event) => own.equals(event.organizationId))
        .map(({ name, profileId }) => [name, bytesToUuid(profileId)]);
      expect(new Map(named as [string, string][])).toEqual(
        new Map([
          ["while merged", b],
          ["afterwards", a],
        ]),
      );
      const traits = profiles
        .filter((profile) => own.equals(profile.organizationId) && bytesToUuid(profile.profileId) === b)
        .map((profile) => profile.traits);
      expect(traits).toEqual(["{}", '{"a":1}', "{}"]);
    });

    test("a tail of a profile follows the profile's group through merges", async () => {
      const [a, b] = [await created({ userId: "a" }), await created({ userId: "b" })];
      const record = async (user: string, name: string) => void (await seen(user, name, 1));
      const steps: (() => Promise<unknown>)[] = [
        () => record("a", "alone"),
        async () => {
          await merge(a, b);
          await record("a", "as b");
        },
        () => record("b", "b's own"),
        async () => {
          await unmerge(a);
          await record("b", "not a's");
          await record("a", "alone again");
        },
      ];
      const published: [string, string][] = [];
      const client = events.client(EventService, { ...as, signal: AbortSignal.timeout(30_000) });
      for await (const { event } of client.tailEvents({ profileId: a })) {
        if (event !== undefined) published.push([event.name, event.profileId]);
        const next = steps[published.length];
        if (next === undefined) break;
        await next();
      }
      expect(published).toEqual([
        ["alone", a],
        ["as b", b],
        ["b's own", b],
        ["alone again", a],
      ]);
    });
  });
});

/** Returns the root after each profile was merged into the next. */
function rootsOfRoots(roots: ReadonlyMap<string, string>, id: string): string {
  const root = roots.get(id) ?? id;
  return root === id ? id : rootsOfRoots(roots, root);
}
