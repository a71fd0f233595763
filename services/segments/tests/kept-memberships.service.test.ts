// Tests ListMemberships: the stored memberships of one profile, for an export.
import type { SegmentPrivacyService } from "@muster/contracts/muster/segments/v1/segment_privacy_service_pb";
import { bytesToUuid, type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import type { Client } from "@muster/rpc";
import { ENGINES } from "@muster/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { asEvents } from "./as-events.ts";
import { type House, openHouse } from "./house.ts";

describe.each(ENGINES)("ListMemberships on %s", (engine) => {
  let house: House;
  /** Uses a new token for each call, because time passes. */
  let asked: () => Client<typeof SegmentPrivacyService>;

  beforeAll(async () => {
    house = await openHouse(engine);
    asked = asEvents(house);
  });
  afterAll(() => house.close());

  async function keptOf(organizationId: OrganizationId, profileId: ProfileId, merged: ProfileId[] = []) {
    const { memberships } = await asked().listMemberships({
      organizationId: uuidToBytes(organizationId),
      profileId: uuidToBytes(profileId),
      mergedProfileIds: merged.map(uuidToBytes),
    });
    return memberships.map((kept) => ({ ...kept, profileId: bytesToUuid<ProfileId>(kept.profileId) }));
  }

  test("includes all acknowledged events and exited memberships, and no other profile", async () => {
    const organizationId = house.newOrganization();
    const client = house.first.as(organizationId);
    const performed = {
      eventName: "viewed",
      count: { condition: { case: "atLeast", value: 1 } },
      window: { window: { case: "last", value: { seconds: 60n } } },
    } as const;
    const { segment } = await client.createSegment({
      name: "Lately",
      rule: { kind: { case: "performed", value: performed } },
    });
    const [ada, bob] = [house.newProfile(), house.newProfile()];
    const ms = house.clock.nowMs();
    await house.events.submit([
      { organizationId, profileId: ada, name: "viewed", ms },
      { organizationId, profileId: ada, name: "cart.added", ms },
      { organizationId, profileId: bob, name: "viewed", ms },
    ]);
    const lately = { segmentId: segment?.id, segmentSlug: "lately", profileId: ada };
    const cart = expect.objectContaining({ segmentSlug: "abandoned-cart", profileId: ada, member: true });
    expect(await keptOf(organizationId, ada)).toEqual([
      cart,
      expect.objectContaining({ ...lately, member: true, enteredMs: BigInt(ms) }),
    ]);

    await house.clock.advance(60_000);
    expect(await keptOf(organizationId, ada)).toEqual([
      cart,
      expect.objectContaining({ ...lately, member: false, changedMs: BigInt(ms + 60_000) }),
    ]);
  });

  test("returns the profile id of each membership after a merge", async () => {
    const organizationId = house.newOrganization();
    const [ada, device, other] = [house.newProfile(), house.newProfile(), house.newProfile()];
    const ms = house.clock.nowMs();
    await house.events.submit(
      [ada, device, other].map((profileId) => ({ organizationId, profileId, name: "cart.added", ms })),
    );
    const kept = await keptOf(organizationId, ada, [device]);
    expect(kept.map(({ profileId }) => profileId)).toEqual([ada, device]);
  });

  test("returns nothing for an unknown profile, or for a profile of another organization", async () => {
    const organizationId = house.newOrganization();
    const profileId = house.newProfile();
    const ms = house.clock.nowMs();
    await house.events.submit([{ organizationId, profileId, name: "cart.added", ms }]);
    expect(await keptOf(organizationId, profileId)).toHaveLength(1);
    expect(await keptOf(house.newOrganization(), profileId)).toEqual([]);
    expect(await keptOf(organizationId, house.newProfile())).toEqual([]);
  });

  test("rejects ids and lists outside their bounds", async () => {
    const organizationId = uuidToBytes(house.organizationId);
    const profileId = uuidToBytes(house.newProfile());
    const refused = { reason: "FIELD_INVALID" };
    await expect(
      asked().listMemberships({ organizationId, profileId: profileId.subarray(1) }),
    ).rejects.toMatchObject(refused);
    const mergedProfileIds = Array.from({ length: 21 }, () => profileId);
    await expect(
      asked().listMemberships({ organizationId, profileId, mergedProfileIds }),
    ).rejects.toMatchObject(refused);
  });
});
