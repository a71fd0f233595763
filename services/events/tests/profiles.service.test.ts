// Tests profiles: creation, uniqueness of identities, lists, updates by mask and published messages.
import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import { ProfileService } from "@muster/contracts/muster/events/v1/profile_service_pb";
import { bytesToUuid, type OrganizationId } from "@muster/core";
import { ENGINES, type FakeClock } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { EventsUnderTest, newOrganization } from "./events-under-test.ts";

const { createProfile, getProfile, listProfiles, updateProfile } = ProfileService.method;
const NOT_FOUND = { reason: "PROFILE_NOT_FOUND" };
const taken = (...fields: string[]) => ({
  reason: "PROFILE_IDENTITY_TAKEN",
  fields: fields.map((field) => ({ field })),
});

describe.each(ENGINES)("profiles on %s", (engine) => {
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

  async function created(fields: Parameters<typeof events.call<typeof createProfile>>[1]) {
    const { profile } = await events.call(createProfile, fields, as);
    if (profile === undefined) throw new Error("no profile in the answer");
    return profile;
  }

  test("a created profile is readable and published", async () => {
    const fields = {
      userId: "13",
      anonymousId: "a",
      email: "Ann@Example.org",
      name: "Ann",
      traits: '{"a":[1.0]}',
    };
    const profile = await created(fields);
    expect(profile).toMatchObject(fields);
    expect((await events.call(getProfile, { profileId: profile.id }, as)).profile).toEqual(profile);
    const { profiles } = await events.announced();
    const own = profiles.filter((one) => bytesToUuid(one.organizationId) === organizationId);
    expect(own).toMatchObject([{ traits: fields.traits, createTimeMs: BigInt(events.clock.nowMs()) }]);
    expect(bytesToUuid(own[0]?.profileId ?? new Uint8Array(16))).toBe(profile.id);
  });

  test("an identity has one profile; the error names every taken identity", async () => {
    await created({ userId: "13", email: "ann@example.org" });
    await created({ anonymousId: "13" });
    await expect(created({ userId: "13" })).rejects.toMatchObject(taken("user_id"));
    await expect(created({ anonymousId: "13", email: "ANN@example.ORG" })).rejects.toMatchObject(
      taken("anonymous_id", "email"),
    );
    // The request is rejected as a whole, so its free identity stays free.
    await expect(created({ userId: "14", email: "Ann@example.org" })).rejects.toMatchObject(taken("email"));
    await created({ userId: "14" });
  });

  test("of many concurrent creations with one identity, one succeeds", async () => {
    const all = await Promise.allSettled(Array.from({ length: 12 }, () => created({ userId: "13" })));
    expect(all.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    for (const one of all) {
      if (one.status === "rejected") expect(one.reason).toMatchObject(taken("user_id"));
    }
    expect((await events.call(listProfiles, {}, as)).profiles).toHaveLength(1);
  });

  test("errors name invalid fields", async () => {
    await expectReason(created({ name: "nobody" }), "FIELD_INVALID");
    await expect(created({ userId: "1", traits: "[]" })).rejects.toMatchObject({
      fields: [{ field: "traits" }],
    });
    await expect(created({ userId: "1", email: "no mail" })).rejects.toMatchObject({
      fields: [{ field: "email" }],
    });
    await expectReason(created({ userId: "\ud800" }), "FIELD_INVALID");
    expect((await events.call(listProfiles, {}, as)).profiles).toEqual([]);
  });

  test("an idempotency key creates once", async () => {
    const keyed = { ...as, idempotencyKey: "k" };
    const first = await events.call(createProfile, { userId: "13" }, keyed);
    expect(await events.call(createProfile, { userId: "13" }, keyed)).toEqual(first);
  });

  test("a list returns all profiles once, oldest first, while profiles are added", async () => {
    const ids: string[] = [];
    for (let index = 0; index < 7; index += 1) {
      ids.push((await created({ userId: String(index) })).id);
      await (events.clock as FakeClock).advance(1);
    }
    const walked: string[] = [];
    let pageToken = "";
    do {
      const page = await events.call(listProfiles, { pageSize: 3, pageToken }, as);
      walked.push(...page.profiles.map(({ id }) => id));
      ({ nextPageToken: pageToken } = page);
      if (walked.length === 3) ids.push((await created({ userId: "late" })).id);
    } while (pageToken !== "");
    expect(walked).toEqual(ids);
  });

  test("a page token is valid for its own list only", async () => {
    await created({ userId: "1" });
    await created({ userId: "2" });
    const { nextPageToken: pageToken } = await events.call(listProfiles, { pageSize: 1 }, as);
    const invalid = { reason: "PAGE_TOKEN_INVALID" };
    await expect(events.call(listProfiles, { pageToken, userId: "1" }, as)).rejects.toMatchObject(invalid);
    await expect(
      events.call(listProfiles, { pageToken }, { organizationId: newOrganization() }),
    ).rejects.toMatchObject(invalid);
    await expect(events.call(listProfiles, { pageToken: `${pageToken}A` }, as)).rejects.toMatchObject(
      invalid,
    );
  });

  test("filters are exact except for the case of emails, and combined with AND", async () => {
    const { id } = await created({ userId: "Ann", email: "Ann@example.org" });
    await created({ userId: "Bob", anonymousId: "Ann" });
    const found = async (filter: object) =>
      (await events.call(listProfiles, filter, as)).profiles.map((profile) => profile.id);
    expect(await found({ userId: "Ann" })).toEqual([id]);
    expect(await found({ userId: "Ann", email: "ANN@EXAMPLE.ORG" })).toEqual([id]);
    for (const filter of [
      { userId: "ann" },
      { userId: "Ann " },
      { userId: "" },
      { userId: "Ann", anonymousId: "Ann" },
    ]) {
      expect(await found(filter)).toEqual([]);
    }
  });

  describe("an update", () => {
    test("changes the fields of the mask, clears unset fields and moves identities", async () => {
      const { id: profileId, ...before } = await created({
        userId: "13",
        email: "ann@example.org",
        name: "Ann",
        traits: '{"a":1}',
      });
      await (events.clock as FakeClock).advance(5);
      const { profile } = await events.call(
        updateProfile,
        {
          profileId,
          profile: { userId: "14", traits: '{"b":2}', name: "ignored" },
          updateMask: { paths: ["user_id", "email", "traits"] },
        },
        as,
      );
      expect(profile).toMatchObject({
        userId: "14",
        name: "Ann",
        traits: '{"b":2}',
        createTime: before.createTime,
      });
      expect(profile?.email).toBeUndefined();
      expect(profile?.updateTime).not.toEqual(before.updateTime);
      expect((await events.call(getProfile, { profileId }, as)).profile).toEqual(profile);
      // The old identities are free, and the new identity resolves to the profile.
      expect((await created({ userId: "13", email: "ann@example.org" })).id).not.toBe(profileId);
      const event = { identity: { case: "userId" as const, value: "14" }, name: "seen" };
      const recorded = await events.call(EventService.method.recordEvent, { event }, as);
      expect(recorded.event?.profileId).toBe(profileId);
      const { profiles } = await events.announced();
      const published = profiles.filter((one) => bytesToUuid(one.profileId) === profileId);
      expect(published.map(({ traits }) => traits)).toEqual(['{"a":1}', '{"b":2}']);
    });

    test("without a mask changes the set fields only", async () => {
      const profile = await created({ userId: "13", name: "Ann" });
      const named = await events.call(updateProfile, { profileId: profile.id, profile: { name: "Bob" } }, as);
      expect(named.profile).toMatchObject({ userId: "13", name: "Bob" });
      const before = (await events.announced()).envelopes.length;
      expect(await events.call(updateProfile, { profileId: profile.id }, as)).toEqual(named);
      expect((await events.announced()).envelopes.length).toBe(before);
    });

    test("requires one identity, rejects taken identities and unknown mask paths", async () => {
      const ann = await created({ userId: "ann", email: "ann@example.org" });
      await created({ userId: "bob", email: "bob@example.org" });
      const update = (profile: object, ...paths: string[]) =>
        events.call(updateProfile, { profileId: ann.id, profile, updateMask: { paths } }, as);
      await expectReason(update({}, "user_id", "email"), "FIELD_INVALID", {
        fields: [{ field: "profile.user_id" }, { field: "profile.email" }],
      });
      await expect(
        update({ userId: "bob", email: "BOB@example.org" }, "user_id", "email"),
      ).rejects.toMatchObject(taken("profile.user_id", "profile.email"));
      for (const path of ["id", "userId", "create_time", "constructor", ""]) {
        await expect(update({}, path)).rejects.toMatchObject({ fields: [{ field: "update_mask" }] });
      }
      await update({ email: "ANN@example.org" }, "email");
      expect((await events.call(getProfile, { profileId: ann.id }, as)).profile).toMatchObject({
        userId: "ann",
        email: "ANN@example.org",
      });
    });

    test("of an unknown profile returns 404", async () => {
      const profileId = "01980000-0000-7000-8000-000000000000";
      for (const id of [profileId, "x"]) {
        await expect(
          events.call(updateProfile, { profileId: id, profile: { name: "x" } }, as),
        ).rejects.toMatchObject(NOT_FOUND);
        await expect(events.call(getProfile, { profileId: id }, as)).rejects.toMatchObject(NOT_FOUND);
      }
    });

    test("two profiles that swap identities concurrently end with each identity owned once", async () => {
      const one = await created({ userId: "x", anonymousId: "1" });
      const two = await created({ userId: "y", anonymousId: "2" });
      const update = (profileId: string, profile: object, paths: string[]) =>
        events.call(updateProfile, { profileId, profile, updateMask: { paths } }, as);
      await Promise.allSettled([
        update(one.id, { userId: "y" }, ["user_id"]),
        update(two.id, { userId: "x" }, ["user_id"]),
        update(one.id, {}, ["user_id"]),
        update(two.id, {}, ["user_id"]),
      ]);
      const { profiles } = await events.call(listProfiles, {}, as);
      const owned = profiles.map(({ userId }) => userId).filter((userId) => userId !== undefined);
      expect(new Set(owned).size).toBe(owned.length);
      for (const userId of owned) {
        expect((await events.call(listProfiles, { userId }, as)).profiles).toMatchObject([{ userId }]);
      }
    });
  });
});
