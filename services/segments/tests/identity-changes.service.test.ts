// Identity changes: profiles are merged and separated while events arrive. Every result is the same as if the
// identities had always been so, and the announcements add up.
import { MembershipOrigin } from "@muster/contracts/muster/segments/v1/segments_events_pb";
import { type ProfileId, SeededRandom, shardOf } from "@muster/core";
import { ENGINES, waitFor } from "@muster/testkit";
import { testSeed } from "@muster/testkit/check-property";
import { performed, sequence } from "@muster/testkit/rules";
import { afterEach, describe, expect, test } from "vitest";
import { readAnnouncements, replayMembership } from "./announcements.ts";
import type { TestEvent } from "./fake-events-service.ts";
import { expectExactMembers, membersOf, openHarness, type SegmentsHarness } from "./segments-harness.ts";

const SEED = testSeed();
const TWICE = { name: "Twice", eventName: "viewed", minCount: 2 };
const NEVER = { name: "Never", rule: performed("viewed").exactly(0) };
const { MERGE, LIVE } = MembershipOrigin;

/** The order of events matters in this rule, so late events cause rebuilds. */
const THEN = sequence(["viewed", "cart.added"], "1h");

describe.each(ENGINES)("identity changes on %s", (engine) => {
  let harness: SegmentsHarness;
  afterEach(() => harness.close());

  function event(profileId: ProfileId, name = "viewed", agoMs = 0): TestEvent {
    return { organizationId: harness.organizationId, profileId, name, ms: harness.clock.nowMs() - agoMs };
  }

  /** Another profile, either in the same shard or in a different shard. */
  function profileBeside(profileId: ProfileId, isSameShard: boolean): ProfileId {
    const shardOfOne = (id: ProfileId) => shardOf(harness.organizationId, id);
    for (;;) {
      const id = harness.newProfile();
      if ((shardOfOne(id) === shardOfOne(profileId)) === isSameShard) return id;
    }
  }

  const merge = (from: ProfileId, into: ProfileId) =>
    harness.events.merge(harness.organizationId, from, into);
  const unmerge = (id: ProfileId) => harness.events.unmerge(harness.organizationId, id);
  const announcementsOfSegment = async (slug: string) =>
    (await readAnnouncements(harness.database)).filter(({ change }) => change.segmentSlug === slug);

  /** Counts the rows of all kinds that contain the profile. */
  async function rowsOf(profileId: ProfileId): Promise<number> {
    let rows = 0;
    for (const table of ["profile_states", "profile_rebuilds", "memberships"]) {
      const id = Buffer.from(profileId.replaceAll("-", ""), "hex");
      rows += (await harness.database.reader(table).where("profile_id", id)).length;
    }
    return rows;
  }

  test.each([true, false])(
    "two profiles are merged and separated, in the same shard: %s",
    async (isSameShard) => {
      harness = await openHarness(engine);
      await harness.segments.createSegment(TWICE);
      await harness.segments.createSegment(NEVER);
      await expectExactMembers(harness, "never");
      const ada = harness.newProfile();
      const device = profileBeside(ada, isSameShard);
      const other = profileBeside(ada, !isSameShard);
      await harness.events.submit([event(ada), event(device), event(other), event(other)]);
      expect(await membersOf(harness.segments, "twice")).toEqual([other]);

      await merge(device, ada);
      expect(await membersOf(harness.segments, "twice")).toEqual([ada, other].sort());
      await merge(other, ada);
      expect(await membersOf(harness.segments, "twice")).toEqual([ada]);
      for (const gone of [device, other]) expect(await rowsOf(gone)).toBe(0);
      await expectExactMembers(harness, "twice");
      await expectExactMembers(harness, "never");

      // Events of any merged profile count for the root.
      await harness.events.submit([event(device, "cart.added")]);
      expect(await membersOf(harness.segments, "abandoned-cart")).toEqual([ada]);
      for (const profileId of [ada, device, other]) {
        const { segments } = await harness.segments.listProfileSegments({ profileId });
        expect(segments.map(({ slug }) => slug).sort()).toEqual(["abandoned-cart", "twice"]);
        const explained = await harness.segments.explainMembership({ segmentId: "twice", profileId });
        expect(explained.member).toBe(true);
      }
      const { results } = await harness.segments.batchCheckMemberships({
        checks: [ada, device].map((id) => ({
          segment: "twice",
          profile: { case: "profileId" as const, value: id },
        })),
      });
      expect(results).toMatchObject([
        { member: true, profileId: ada },
        { member: true, profileId: ada },
      ]);

      await unmerge(device);
      await unmerge(other);
      expect(await membersOf(harness.segments, "twice")).toEqual([other]);
      expect(await membersOf(harness.segments, "abandoned-cart")).toEqual([device]);
      await expectExactMembers(harness, "never");
      const announced = await announcementsOfSegment("twice");
      expect([...replayMembership(announced)]).toEqual([other]);
      const origins = announced.map(({ profileId, member, change }) => [profileId, member, change.origin]);
      expect(origins.filter(([id]) => id === ada)).toEqual([
        [ada, true, MERGE],
        [ada, false, MERGE],
      ]);
      expect(origins.filter(([id]) => id === other)).toEqual([
        [other, true, LIVE],
        [other, false, MERGE],
        [other, true, MERGE],
      ]);
    },
  );

  test("a profile merged while a read waits is read by its new root", async () => {
    harness = await openHarness(engine);
    await harness.segments.createSegment(TWICE);
    const people = Array.from({ length: 6 }, () => [harness.newProfile(), harness.newProfile()] as const);
    await harness.events.submit(people.flat().map((id) => event(id)));
    await expectExactMembers(harness, "twice");
    for (const [index, [device = harness.newProfile(), root = harness.newProfile()]] of people.entries()) {
      harness.events.beforePositions = async () => {
        harness.events.beforePositions = async () => {};
        await merge(device, root);
      };
      if (index % 3 === 0) {
        const { segments } = await harness.segments.listProfileSegments({ profileId: device });
        expect(segments.map(({ slug }) => slug)).toEqual(["twice"]);
      } else if (index % 3 === 1) {
        const { member } = await harness.segments.explainMembership({
          segmentId: "twice",
          profileId: device,
        });
        expect(member).toBe(true);
      } else {
        const check = { segment: "twice", profile: { case: "profileId" as const, value: device } };
        const { results } = await harness.segments.batchCheckMemberships({ checks: [check] });
        expect(results).toMatchObject([{ member: true, profileId: root }]);
      }
    }
  });

  test("no change is published from a part of the profile's history", async () => {
    harness = await openHarness(engine);
    await harness.segments.createSegment(NEVER);
    const [ada, device] = [harness.newProfile(), harness.newProfile()];
    await harness.events.submit([event(device)]);
    await expectExactMembers(harness, "never");
    await merge(device, ada);
    await membersOf(harness.segments, "never");
    // Applied while the history cannot be read: the device has viewed, but not in any of these messages.
    let isHeld = true;
    harness.events.beforeScan = async () => {
      await waitFor(() => !isHeld);
    };
    await unmerge(device);
    await harness.events.submit([event(device, "product.viewed"), event(device, "cart.added")]);
    isHeld = false;
    await expectExactMembers(harness, "never");
    expect((await announcementsOfSegment("never")).filter(({ profileId }) => profileId === device)).toEqual(
      [],
    );
    await expectExactMembers(harness, "abandoned-cart");
  });

  test("a profile that was merged away while its shard lagged ends once, with all pending messages", async () => {
    harness = await openHarness(engine);
    await harness.segments.createSegment(TWICE);
    await expectExactMembers(harness, "twice");
    const ada = harness.newProfile();
    const device = profileBeside(ada, false);
    await harness.events.submit([event(ada), event(device), event(device)]);
    await expectExactMembers(harness, "twice");
    // An unreadable message causes a rebuild. Its snapshot contains the merge, which is applied later.
    let isFirst = true;
    harness.events.beforeScan = async () => {
      if (!isFirst) return;
      isFirst = false;
      await harness.events.submit([event(device), event(device, "cart.added")]);
      await merge(device, ada);
    };
    await harness.events.submitCorrupt([event(device)], Buffer.from("nonsense"));
    await waitFor(async () => {
      await harness.clock.advance(1000);
      return !isFirst;
    });
    await expectExactMembers(harness, "twice");
    await expectExactMembers(harness, "abandoned-cart");
    await waitFor(async () => (await rowsOf(device)) === 0);
    replayMembership(await announcementsOfSegment("twice"));
    expect(
      (await announcementsOfSegment("abandoned-cart")).filter(({ profileId }) => profileId === device),
    ).toEqual([]);
  });

  test("a merge in an unreadable message is found by the rebuild", async () => {
    harness = await openHarness(engine);
    await harness.segments.createSegment(TWICE);
    await expectExactMembers(harness, "twice");
    const ada = harness.newProfile();
    const device = profileBeside(ada, false);
    await harness.events.submit([event(ada), event(device), event(device)]);
    await expectExactMembers(harness, "twice");
    await harness.events.merge(harness.organizationId, device, ada, Buffer.from("nonsense"));
    await waitFor(async () => {
      await harness.clock.advance(1000);
      return (await harness.database.reader("dead_letters")).length === 2;
    });
    await expectExactMembers(harness, "twice");
    expect(await membersOf(harness.segments, "twice")).toEqual([ada]);
    expect([...replayMembership(await announcementsOfSegment("twice"))]).toEqual([ada]);
    expect(await rowsOf(device)).toBe(0);
  });

  test("segments created and deleted meanwhile contain no merged-away profile", async () => {
    harness = await openHarness(engine);
    await harness.segments.createSegment(TWICE);
    const profiles = Array.from({ length: 40 }, () => harness.newProfile());
    await harness.events.submit(profiles.flatMap((id) => [event(id), event(id)]));
    await expectExactMembers(harness, "twice");
    const [root = harness.newProfile(), ...others] = profiles;
    const merging = (async () => {
      for (const id of others) await merge(id, root);
    })();
    await harness.segments.createSegment({ ...TWICE, name: "Also" });
    await harness.segments.deleteSegment({ segmentId: "twice" });
    await merging;
    await expectExactMembers(harness, "also");
    expect(await membersOf(harness.segments, "also")).toEqual([root]);
    await waitFor(async () => {
      await harness.clock.advance(200);
      return (await harness.database.reader("segment_purges")).length === 0;
    });
    for (const id of others) expect(await rowsOf(id)).toBe(0);
  });

  test(`any order of merges, undos and events, seed ${SEED}: members are exact, and announcements add up`, async () => {
    harness = await openHarness(engine);
    const random = new SeededRandom(SEED);
    // Minutes, because announcements can be read only for a day.
    const windowed = {
      name: "Lately",
      rule: performed("viewed").atLeast(2).within("1h"),
    };
    const profiles = Array.from({ length: 14 }, () => harness.newProfile());
    for (const id of profiles) harness.events.addProfile(harness.organizationId, id);
    const ordered = { name: "Then", rule: THEN };
    for (const segment of [TWICE, NEVER, windowed, ordered]) await harness.segments.createSegment(segment);
    await expectExactMembers(harness, "twice");
    const before = await membersOf(harness.segments, "never");
    const one = () => profiles[random.integer(0, profiles.length - 1)] ?? harness.newProfile();
    for (let round = 0; round < 25; round += 1) {
      await Promise.all(
        Array.from({ length: random.integer(1, 6) }, async () => {
          if (random.chance(0.25)) await merge(one(), one());
          else if (random.chance(0.3)) await unmerge(one());
          else {
            const name = random.chance(0.6)
              ? "viewed"
              : random.chance(0.5)
                ? "cart.added"
                : "order.completed";
            await harness.events.submit([event(one(), name, random.integer(0, 100) * 60_000)]);
          }
        }),
      );
      harness.clock.setNowMs(harness.clock.nowMs() + random.integer(0, 3) * 300_000);
      for (const slug of ["twice", "never", "lately", "then", "abandoned-cart"])
        await expectExactMembers(harness, slug);
    }
    for (const slug of ["twice", "lately", "then", "abandoned-cart"]) {
      expect([...replayMembership(await announcementsOfSegment(slug))].sort()).toEqual(
        await membersOf(harness.segments, slug),
      );
    }
    const never = replayMembership(await announcementsOfSegment("never"), before);
    expect([...never].sort()).toEqual(await membersOf(harness.segments, "never"));
    expect(new Set((await readAnnouncements(harness.database)).map(({ change }) => change.origin))).toContain(
      MERGE,
    );
  });
});
