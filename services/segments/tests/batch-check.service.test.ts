// Tests BatchCheckMemberships: many memberships checked at once.
import type { OrganizationId, ProfileId } from "@muster/core";
import { ENGINES } from "@muster/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { userIdOf } from "./fake-events-service.ts";
import { openHarness, type SegmentsClient, type SegmentsHarness } from "./segments-harness.ts";

describe.each(ENGINES)("membership checks on %s", (engine) => {
  let harness: SegmentsHarness;
  let organizationId: OrganizationId;
  let client: SegmentsClient;
  let profileIds: ProfileId[];

  beforeAll(async () => {
    harness = await openHarness(engine);
    organizationId = harness.newOrganization();
    client = harness.first.as(organizationId);
    profileIds = Array.from({ length: 6 }, () => harness.newProfile());
  });
  afterAll(() => harness.close());

  const byProfile = (value: string) => ({ case: "profileId", value }) as const;
  const byUser = (value: string) => ({ case: "userId", value }) as const;

  test("each result is the membership, in the order of the checks, as of all earlier events", async () => {
    const ms = harness.clock.nowMs();
    const { segment } = await client.createSegment({ name: "Viewers", eventName: "viewed", minCount: 2 });
    for (const [index, profileId] of profileIds.entries()) {
      const names = [...Array.from({ length: index }, () => "viewed"), ...(index % 2 ? ["cart.added"] : [])];
      harness.events.addProfile(organizationId, profileId);
      if (names.length > 0)
        await harness.events.submit(names.map((name) => ({ organizationId, profileId, name, ms })));
    }
    const checks = profileIds.flatMap((id) => [
      { segment: "viewers", profile: byProfile(id) },
      { segment: "abandoned-cart", profile: byUser(userIdOf(id)) },
      { segment: segment?.id ?? "", profile: byUser(userIdOf(id)) },
    ]);
    const { results } = await client.batchCheckMemberships({ checks: [...checks, ...checks] });
    const expected = profileIds.flatMap((_, index) => [index >= 2, index % 2 === 1, index >= 2]);
    expect(results.map(({ member }) => member)).toEqual([...expected, ...expected]);
    for (const [index, { member, enteredAt, error, profileId }] of results.entries()) {
      expect(error).toBeUndefined();
      expect(enteredAt !== undefined).toBe(member);
      expect(profileId).toBe(profileIds[Math.floor(index / 3) % profileIds.length]);
    }
    expect(results[0]?.segmentId).toBe(segment?.id);
  });

  test("an unknown segment or profile is an error of its check alone", async () => {
    const existing = profileIds[3] ?? "";
    const { results } = await client.batchCheckMemberships({
      checks: [
        { segment: "nothing", profile: byProfile(existing) },
        { segment: harness.newProfile(), profile: byProfile(existing) },
        { segment: "abandoned-cart", profile: byProfile(harness.newProfile()) },
        { segment: "abandoned-cart", profile: byProfile("nobody") },
        { segment: "abandoned-cart", profile: byUser("nobody") },
        { segment: "abandoned-cart", profile: byUser(existing) },
        { segment: "abandoned-cart", profile: byProfile(existing) },
      ],
    });
    const reasons = results.map(({ error }) => error?.reason);
    expect(reasons).toEqual([
      ...["SEGMENT_NOT_FOUND", "SEGMENT_NOT_FOUND", "PROFILE_NOT_FOUND", "PROFILE_NOT_FOUND"],
      ...["PROFILE_NOT_FOUND", "PROFILE_NOT_FOUND", undefined],
    ]);
    expect(results.map(({ member }) => member)).toEqual([false, false, false, false, false, false, true]);
    expect(results[0]?.error?.code).toBe("not_found");
    expect((await client.batchCheckMemberships({ checks: [] })).results).toEqual([]);
  });

  test("takes 1,000 checks; rejects more, or a check without a profile, with the field", async () => {
    const invalid = { reason: "FIELD_INVALID" };
    const check = { segment: "abandoned-cart", profile: byProfile(profileIds[1] ?? "") };
    const thousand = Array.from({ length: 1000 }, () => check);
    const { results } = await client.batchCheckMemberships({ checks: thousand });
    expect(results.filter(({ member }) => member)).toHaveLength(1000);
    await expect(client.batchCheckMemberships({ checks: [...thousand, check] })).rejects.toMatchObject({
      ...invalid,
      fields: [{ field: "checks" }],
    });
    await expect(
      client.batchCheckMemberships({ checks: [check, { segment: "abandoned-cart" }] }),
    ).rejects.toMatchObject({ ...invalid, fields: [{ field: "checks[1].profile" }] });
  });

  test("segments and profiles of another organization are not found", async () => {
    const theirs = harness.newOrganization();
    const other = harness.first.as(theirs);
    const stranger = harness.newProfile();
    harness.events.addProfile(theirs, stranger);
    const { segment } = await client.getSegment({ segmentId: "abandoned-cart" });
    const { results } = await other.batchCheckMemberships({
      checks: [
        { segment: segment?.id ?? "", profile: byProfile(stranger) },
        { segment: "abandoned-cart", profile: byProfile(profileIds[1] ?? "") },
        { segment: "abandoned-cart", profile: byUser(userIdOf(profileIds[1] ?? ("" as ProfileId))) },
        { segment: "abandoned-cart", profile: byProfile(stranger) },
      ],
    });
    expect(results.map(({ error }) => error?.reason)).toEqual([
      "SEGMENT_NOT_FOUND",
      "PROFILE_NOT_FOUND",
      "PROFILE_NOT_FOUND",
      undefined,
    ]);
    expect(results.some(({ member }) => member)).toBe(false);
  });
});
