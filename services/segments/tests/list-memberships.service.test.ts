// Tests ListMemberships: the stored memberships of one profile, for an export.
import { SegmentPrivacyService } from "@muster/contracts/muster/segments/v1/segment_privacy_service_pb";
import { bytesToUuid, type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import type { Client } from "@muster/rpc";
import { ENGINES } from "@muster/testkit";
import { performed } from "@muster/testkit/rules";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openHarness, type SegmentsHarness } from "./segments-harness.ts";

describe.each(ENGINES)("ListMemberships on %s", (engine) => {
  let harness: SegmentsHarness;
  /** Uses a new token for each call, because time passes. */
  let eventsClient: () => Client<typeof SegmentPrivacyService>;

  beforeAll(async () => {
    harness = await openHarness(engine);
    eventsClient = () => harness.first.client(SegmentPrivacyService, { service: "events" });
  });
  afterAll(() => harness.close());

  async function storedMembershipsOf(
    organizationId: OrganizationId,
    profileId: ProfileId,
    merged: ProfileId[] = [],
  ) {
    const { memberships } = await eventsClient().listMemberships({
      organizationId: uuidToBytes(organizationId),
      profileId: uuidToBytes(profileId),
      mergedProfileIds: merged.map(uuidToBytes),
    });
    return memberships.map((stored) => ({ ...stored, profileId: bytesToUuid<ProfileId>(stored.profileId) }));
  }

  test("includes all acknowledged events and exited memberships, and no other profile", async () => {
    const organizationId = harness.newOrganization();
    const client = harness.first.as(organizationId);
    const { segment } = await client.createSegment({
      name: "Lately",
      rule: performed("viewed").atLeast(1).within("1m"),
    });
    const [ada, bob] = [harness.newProfile(), harness.newProfile()];
    const ms = harness.clock.nowMs();
    await harness.events.submit([
      { organizationId, profileId: ada, name: "viewed", ms },
      { organizationId, profileId: ada, name: "cart.added", ms },
      { organizationId, profileId: bob, name: "viewed", ms },
    ]);
    const lately = { segmentId: segment?.id, segmentSlug: "lately", profileId: ada };
    const cart = expect.objectContaining({ segmentSlug: "abandoned-cart", profileId: ada, member: true });
    expect(await storedMembershipsOf(organizationId, ada)).toEqual([
      cart,
      expect.objectContaining({ ...lately, member: true, enteredMs: BigInt(ms) }),
    ]);

    await harness.clock.advance(60_000);
    expect(await storedMembershipsOf(organizationId, ada)).toEqual([
      cart,
      expect.objectContaining({ ...lately, member: false, changedMs: BigInt(ms + 60_000) }),
    ]);
  });

  test("returns the profile id of each membership after a merge", async () => {
    const organizationId = harness.newOrganization();
    const [ada, device, other] = [harness.newProfile(), harness.newProfile(), harness.newProfile()];
    const ms = harness.clock.nowMs();
    await harness.events.submit(
      [ada, device, other].map((profileId) => ({ organizationId, profileId, name: "cart.added", ms })),
    );
    const stored = await storedMembershipsOf(organizationId, ada, [device]);
    expect(stored.map(({ profileId }) => profileId)).toEqual([ada, device]);
  });

  test("returns nothing for an unknown profile, or for a profile of another organization", async () => {
    const organizationId = harness.newOrganization();
    const profileId = harness.newProfile();
    const ms = harness.clock.nowMs();
    await harness.events.submit([{ organizationId, profileId, name: "cart.added", ms }]);
    expect(await storedMembershipsOf(organizationId, profileId)).toHaveLength(1);
    expect(await storedMembershipsOf(harness.newOrganization(), profileId)).toEqual([]);
    expect(await storedMembershipsOf(organizationId, harness.newProfile())).toEqual([]);
  });

  test("rejects ids and lists outside their bounds", async () => {
    const organizationId = uuidToBytes(harness.organizationId);
    const profileId = uuidToBytes(harness.newProfile());
    const rejected = { reason: "FIELD_INVALID" };
    await expect(
      eventsClient().listMemberships({ organizationId, profileId: profileId.subarray(1) }),
    ).rejects.toMatchObject(rejected);
    const mergedProfileIds = Array.from({ length: 21 }, () => profileId);
    await expect(
      eventsClient().listMemberships({ organizationId, profileId, mergedProfileIds }),
    ).rejects.toMatchObject(rejected);
  });
});
