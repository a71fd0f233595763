// Tests identity claims: the resulting profile groups for all combinations of users and visitors.
import { ProfileService } from "@muster/contracts/muster/events/v1/profile_service_pb";
import { type OrganizationId, type ProfileId, randomIds } from "@muster/core";
import { ENGINES } from "@muster/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { lockAlertHistory } from "../src/alert-history/history-store.ts";
import { applyIdentityClaims } from "../src/identity-claims/apply-identity-claims.ts";
import type { IdentityClaim } from "../src/identity-claims/identity-claim.ts";
import { identityTransaction } from "../src/identity-graph/identity-transaction.ts";
import { appendIdentityChange } from "../src/identity-graph/merge-profile-groups.ts";
import { effectiveProfile } from "../src/identity-graph/profile-group.ts";
import { EventsUnderTest, newOrganization } from "./events-under-test.ts";

const { createProfile, getProfile, listProfiles, mergeProfile, unmergeProfile, updateProfile } =
  ProfileService.method;

/** Profile groups, each given by its ids. */
type ProfileGroups = readonly (readonly string[])[];

/** The first letter of an id is its kind: `u1` is a user id, `a1` an anonymous id. */
interface Case {
  readonly what: string;
  /** Profile groups, each a list of profiles with the root profile first. */
  readonly before: readonly ProfileGroups[];
  readonly sent: readonly string[];
  readonly after: ProfileGroups;
}

const identified: readonly Case[] = [
  { what: "a new user", before: [], sent: ["u1"], after: [["u1"]] },
  { what: "a new visitor", before: [], sent: ["a1"], after: [["a1"]] },
  { what: "a known visitor alone", before: [[["a1"]]], sent: ["a1"], after: [["a1"]] },
  { what: "a new user with a new visitor's id", before: [], sent: ["u1", "a1"], after: [["a1", "u1"]] },
  {
    what: "a new user with a known visitor's id",
    before: [[["a1"]]],
    sent: ["u1", "a1"],
    after: [["a1", "u1"]],
  },
  {
    what: "a user with a known visitor's id",
    before: [[["a1"]], [["u1"]]],
    sent: ["u1", "a1"],
    after: [["a1", "u1"]],
  },
  { what: "a user with a first visitor's id", before: [[["u1"]]], sent: ["u1", "a1"], after: [["a1", "u1"]] },
  {
    what: "a user with another visitor's id",
    before: [[["u1", "a1"]]],
    sent: ["u1", "a2"],
    after: [["a1", "a2", "u1"]],
  },
  { what: "a known link", before: [[["u1", "a1"]]], sent: ["u1", "a1"], after: [["a1", "u1"]] },
  {
    what: "a known link between merged profiles",
    before: [[["u1"], ["a1"]]],
    sent: ["u1", "a1"],
    after: [["a1", "u1"]],
  },
  {
    what: "a new user on another user's device",
    before: [[["u1", "a1"]]],
    sent: ["u2", "a1"],
    after: [["a1", "u1"], ["u2"]],
  },
  {
    what: "a user on another user's device",
    before: [[["u1", "a1"]], [["u2"]]],
    sent: ["u2", "a1"],
    after: [["a1", "u1"], ["u2"]],
  },
  {
    what: "a device merged into another user",
    before: [[["u1"], ["a1"]], [["u2"]]],
    sent: ["u2", "a1"],
    after: [["a1", "u1"], ["u2"]],
  },
  {
    what: "a new user on a device merged into another user",
    before: [[["u1"], ["a1"]]],
    sent: ["u2", "a1"],
    after: [["a1", "u1"], ["u2"]],
  },
  {
    what: "two devices of one visitor",
    before: [[["a1"], ["a2"]], [["u1"]]],
    sent: ["u1", "a2"],
    after: [["a1", "a2", "u1"]],
  },
  {
    what: "a new user on one of a visitor's devices",
    before: [[["a1"], ["a2"]]],
    sent: ["u1", "a2"],
    after: [["a1", "a2", "u1"]],
  },
];

/** Sent: the previous id, then the user id. The previous id may be of either kind. */
const aliased: readonly Case[] = [
  { what: "an unknown id", before: [], sent: ["a1", "u1"], after: [["a1", "u1"]] },
  { what: "a visitor's id, for a new user", before: [[["a1"]]], sent: ["a1", "u1"], after: [["a1", "u1"]] },
  {
    what: "a visitor's id, for a user",
    before: [[["a1"]], [["u1"]]],
    sent: ["a1", "u1"],
    after: [["a1", "u1"]],
  },
  { what: "a user's id, for a new user", before: [[["u1"]]], sent: ["u1", "u2"], after: [["u1"]] },
  {
    what: "a user's id, for another user",
    before: [[["u1", "a1"]], [["u2", "a2"]]],
    sent: ["u1", "u2"],
    after: [
      ["a1", "u1"],
      ["a2", "u2"],
    ],
  },
  {
    what: "another user's device, for a user",
    before: [[["u1", "a1"]], [["u2"]]],
    sent: ["a1", "u2"],
    after: [["a1", "u1"], ["u2"]],
  },
  { what: "the user's own id", before: [[["u1"]]], sent: ["u1", "u1"], after: [["u1"]] },
];

describe.each(ENGINES)("identity claims on %s", (engine) => {
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

  const idsOf = (ids: readonly string[]) => ({
    userId: ids.find((id) => id.startsWith("u")),
    anonymousId: ids.find((id) => id.startsWith("a")),
  });
  async function created(fields: Parameters<typeof events.call<typeof createProfile>>[1]): Promise<string> {
    return (await events.call(createProfile, fields, as)).profile?.id ?? "";
  }
  async function make(groups: readonly ProfileGroups[]): Promise<void> {
    for (const [root = [], ...merged] of groups) {
      const into = await created(idsOf(root));
      for (const ids of merged)
        await events.call(mergeProfile, { profileId: await created(idsOf(ids)), into }, as);
    }
  }
  /** Returns all profile groups, given by their ids. */
  async function listGroups(): Promise<ProfileGroups> {
    const groups = new Map<string, string[]>();
    for (const id of ["a1", "a2", "u1", "u2"]) {
      const filter = id.startsWith("u") ? { userId: id } : { anonymousId: id };
      const [profile] = (await events.call(listProfiles, filter, as)).profiles;
      if (profile !== undefined) groups.set(profile.id, [...(groups.get(profile.id) ?? []), id]);
    }
    expect((await events.call(listProfiles, {}, as)).profiles).toHaveLength(groups.size);
    return [...groups.values()];
  }

  async function applyClaim(claim: IdentityClaim) {
    const deps = {
      clock: events.clock,
      ids: randomIds,
      profileIds: randomIds,
      identityChangeHooks: [{ beforeChange: lockAlertHistory }],
      usersPerAnonymousIdMax: 3,
    };
    const origin = { organizationId, actor: "test", traceParent: "" };
    const outbox = { append: async () => [] };
    const change = await identityTransaction(events.database, async (trx) => {
      const [applied] = await applyIdentityClaims(deps, trx, origin, [claim]);
      if (applied === undefined || applied.rejected !== undefined) throw applied?.rejected;
      await appendIdentityChange(outbox, trx, applied.drafts);
      return applied;
    });
    const { group } = change;
    if (group === undefined) return undefined;
    // The returned profile equals the readable profile.
    const read = (await events.call(getProfile, { profileId: group.root.id }, as)).profile;
    const { id, userId, anonymousId, email, name, traits } = effectiveProfile(group);
    expect({ userId, anonymousId, email, name, ...read }).toMatchObject({
      id,
      userId,
      anonymousId,
      email,
      name,
      traits,
    });
    return effectiveProfile(group);
  }
  async function identify(ids: readonly string[], traits = "{}") {
    const profile = await applyClaim({ kind: "identify", ...idsOf(ids), traits, takesEmail: true });
    if (profile === undefined) throw new Error("identify always has a profile");
    return profile;
  }
  const alias = (previousId: string, userId: string) => applyClaim({ kind: "alias", previousId, userId });

  test.each(identified)("identify: $what", async ({ before, sent, after }) => {
    await make(before);
    await identify(sent);
    expect(await listGroups()).toEqual(after);
    // A repeated claim changes nothing.
    await identify(sent);
    expect(await listGroups()).toEqual(after);
  });

  test.each(aliased)("alias: $what", async ({ before, sent, after }) => {
    await make(before);
    const [previous = "", user = ""] = sent;
    await alias(previous, user);
    expect(await listGroups()).toEqual(after);
    await alias(previous, user);
    expect(await listGroups()).toEqual(after);
  });

  test("concurrent equal claims, and two claims in different order, result in one group", async () => {
    await make([[["u1"]]]);
    const calls = Array.from({ length: 12 }, (_, index) =>
      index % 3 === 0 ? alias("a1", "u1") : identify(["u1", `a${1 + (index % 2)}`]),
    );
    await Promise.all(calls);
    expect(await listGroups()).toEqual([["a1", "a2", "u1"]]);
  });

  describe("traits", () => {
    test("are merged at the first level; null removes a trait; numbers keep their digits", async () => {
      await identify(["u1"], '{"a":1,"b":{"c":1,"d":2},"n":1.50}');
      const { traits } = await identify(["u1"], '{"a":null,"b":{"c":3},"__proto__":1}');
      expect(traits).toBe('{"b":{"c":3},"n":1.50,"__proto__":1}');
    });

    test("named email and name become profile fields", async () => {
      const profile = await identify(["u1"], '{"email":"Ann@x.org","name":"Ann","plan":"pro"}');
      expect(profile).toMatchObject({
        email: "Ann@x.org",
        name: "Ann",
        traits: '{"name":"Ann","plan":"pro"}',
      });
      const cleared = await identify(["u1"], '{"email":null,"name":null}');
      expect(cleared).toMatchObject({ email: undefined, name: undefined, traits: '{"plan":"pro"}' });
    });

    test("stay traits if another profile has the email, or the email or name is invalid", async () => {
      await created({ userId: "u2", email: "ann@x.org" });
      const taken = await identify(["u1"], '{"email":"ANN@x.org","name":7}');
      expect(taken).toMatchObject({
        email: undefined,
        name: undefined,
        traits: '{"email":"ANN@x.org","name":7}',
      });
      const none = await identify(["u1"], '{"email":"no address","name":"\\ud800"}');
      expect(none).toMatchObject({ email: undefined, name: undefined });
      expect(none.traits).toContain('"email":"no address"');
      // The email is free now, so it becomes a profile field.
      const profileId = (await events.call(listProfiles, { userId: "u2" }, as)).profiles[0]?.id ?? "";
      await events.call(updateProfile, { profileId, profile: { email: "other@x.org" } }, as);
      const free = await identify(["u1"], '{"email":"ann@x.org"}');
      expect(free.email).toBe("ann@x.org");
      expect(free.traits).not.toContain("email");
    });

    test("of a merged visitor are separated by an undo, except traits removed from the group", async () => {
      const visitor = await created({ anonymousId: "a1", traits: '{"seen":1,"campaign":"x"}' });
      await created({ userId: "u1", traits: '{"plan":"free"}' });
      expect(JSON.parse((await identify(["u1", "a1"], '{"plan":"pro"}')).traits)).toEqual({
        plan: "pro",
        seen: 1,
        campaign: "x",
      });
      await events.call(unmergeProfile, { profileId: visitor }, as);
      expect((await identify(["u1"])).traits).toBe('{"plan":"pro"}');
      expect((await identify(["u1", "a1"], '{"campaign":null}')).traits).toBe('{"plan":"pro","seen":1}');
      expect((await identify(["u1", "a1"])).traits).toBe('{"plan":"pro","seen":1}');
    });

    test("are limited like the traits of a profile", async () => {
      const large = (key: string) => JSON.stringify({ [key]: "x".repeat(40_000) });
      await identify(["u1"], large("a"));
      await expect(identify(["u1"], large("b"))).rejects.toMatchObject({ fields: [{ field: "traits" }] });
      expect((await identify(["u1"], large("a"))).traits).toBe(large("a"));
    });
  });

  test("claims do not affect another organization", async () => {
    const other = { organizationId: newOrganization() };
    const { profile } = await events.call(createProfile, { userId: "u1", anonymousId: "a1" }, other);
    const mine = await identify(["u1", "a1"], '{"plan":"pro"}');
    expect(mine.id).not.toBe(profile?.id as ProfileId);
    expect((await events.call(listProfiles, {}, other)).profiles).toEqual([profile]);
  });
});
