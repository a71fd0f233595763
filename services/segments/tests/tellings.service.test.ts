// Tests rule switches: a profile that matches only one of the two rules gets exactly one change, despite
// concurrent changes and crashes.
import { MembershipOrigin } from "@muster/contracts/muster/segments/v1/segments_events_pb";
import { type ProfileId, SeededRandom } from "@muster/core";
import { ENGINES, waitFor } from "@muster/testkit";
import { afterEach, describe, expect, test } from "vitest";
import { believe, heardFrom } from "./announced.ts";
import { DyingDatabase } from "./dying-database.ts";
import type { TestEvent } from "./events-stand-in.ts";
import { expectTruth, type House, membersOf, openHouse } from "./house.ts";

const VIEWERS = { name: "Viewers", eventName: "viewed", minCount: 1 };
const BUYERS = { eventName: "bought", minCount: 1 };
const LIVE = 2;
const { EDIT } = MembershipOrigin;

describe.each(ENGINES)("rule switches on %s", (engine) => {
  let house: House;
  afterEach(() => house.close());

  function event(profileId: ProfileId, name: string): TestEvent {
    return { organizationId: house.organizationId, profileId, name, ms: house.clock.nowMs() };
  }

  const heardOf = async (slug: string) =>
    (await heardFrom(house.database)).filter(({ change }) => change.segmentSlug === slug);

  /** Waits until the rule serves and its switch is fully published. */
  async function untilTold(segmentId: string, version: number): Promise<void> {
    const eventual = house.first.as(house.organizationId, { "muster-consistency": "eventual" });
    await waitFor(
      async () => {
        await house.clock.advance(200);
        const { segment } = await eventual.getSegment({ segmentId });
        const [{ left } = { left: 1 }] = await house.database
          .reader("segment_purges")
          .where("telling", ">", 0)
          .count<{ left: number }[]>({ left: "*" });
        return segment?.state === LIVE && segment.version === version && Number(left) === 0;
      },
      { timeoutMs: 20_000 },
    );
  }

  test("differences are announced as edits; profiles that match both rules keep entered_at", async () => {
    house = await openHouse(engine);
    await house.segments.createSegment(VIEWERS);
    await expectTruth(house, "viewers");
    const [both, viewer, buyer, late] = [1, 2, 3, 4].map(() => house.newProfile()) as [...ProfileId[]] as [
      ProfileId,
      ProfileId,
      ProfileId,
      ProfileId,
    ];
    await house.events.submit([event(both, "viewed"), event(viewer, "viewed"), event(buyer, "bought")]);
    await house.events.submit([event(both, "bought"), event(late, "bought")]);
    await expectTruth(house, "viewers");
    const enteredOf = async (id: ProfileId) => {
      const { profiles } = await house.segments.listSegmentMembers({ segmentId: "viewers" });
      return profiles.find((profile) => profile.id === id)?.enteredAt;
    };
    const sinceBefore = await enteredOf(both);
    house.clock.setNowMs(house.clock.nowMs() + 60_000);
    let isHeld = true;
    house.events.beforeScan = async (shard) => {
      if (shard === 15) await waitFor(() => !isHeld);
    };
    await house.segments.updateSegment({ segmentId: "viewers", segment: BUYERS });
    // Enters according to the serving rule during the backfill of the other.
    house.clock.setNowMs(house.clock.nowMs() + 60_000);
    await house.events.submit([event(late, "viewed")]);
    isHeld = false;
    await untilTold("viewers", 2);
    expect(await membersOf(house.segments, "viewers")).toEqual([both, buyer, late].sort());
    expect(await enteredOf(both)).toEqual(sinceBefore);
    expect(await enteredOf(late)).toEqual(
      expect.objectContaining({ seconds: BigInt(Math.floor(house.events.raw.at(-1)?.ms ?? 0) / 1000) }),
    );
    const edits = (await heardOf("viewers")).filter(({ change }) => change.origin === EDIT);
    expect(
      edits.map(({ profileId, member, change }) => [profileId, member, change.ruleVersion]).sort(),
    ).toEqual(
      [
        [viewer, false, 2],
        [buyer, true, 2],
      ].sort(),
    );
    expect([...believe(await heardOf("viewers"))].sort()).toEqual([both, buyer, late].sort());
    await house.events.submit([event(viewer, "bought")]);
    await expectTruth(house, "viewers");
    expect([...believe(await heardOf("viewers"))].sort()).toEqual(await membersOf(house.segments, "viewers"));
  });

  test("entries of a version that never served reads are announced only on request", async () => {
    house = await openHouse(engine);
    const profiles = Array.from({ length: 20 }, () => house.newProfile());
    await house.events.submit(profiles.flatMap((id) => [event(id, "viewed"), event(id, "bought")]));
    await house.segments.listSegments({});
    let isHeld = true;
    house.events.beforeScan = async () => {
      await waitFor(() => !isHeld);
    };
    await house.segments.createSegment(VIEWERS);
    await house.segments.createSegment({ ...VIEWERS, name: "Loud", announceBackfill: true });
    for (const segmentId of ["viewers", "loud"])
      await house.segments.updateSegment({ segmentId, segment: BUYERS });
    isHeld = false;
    for (const slug of ["viewers", "loud"]) {
      await untilTold(slug, 2);
      await expectTruth(house, slug);
    }
    expect(believe(await heardOf("viewers"), await membersOf(house.segments, "viewers")).size).toBe(20);
    expect(believe(await heardOf("loud")).size).toBe(20);
  });

  test("announcements add up to the members despite concurrent changes, merges, erasures and crashes", async () => {
    const dying = new DyingDatabase();
    house = await openHouse(engine, { wrap: dying.wrap });
    const random = new SeededRandom(11);
    await house.segments.createSegment(VIEWERS);
    await expectTruth(house, "viewers");
    const { organizationId } = house;
    const profiles = Array.from({ length: 120 }, () => house.newProfile());
    // For an erased profile, only the last announcement is kept.
    const erased = new Set<ProfileId>();
    const one = () => pick(profiles.filter((id) => !erased.has(id)));
    const pick = (ids: readonly ProfileId[]) => ids[random.integer(0, ids.length - 1)] ?? house.newProfile();
    const heardOfOthers = async () =>
      (await heardOf("viewers")).filter(({ profileId }) => !erased.has(profileId as ProfileId));
    const some = () => (random.chance(0.5) ? "viewed" : "bought");
    for (const id of profiles) await house.events.submit([event(id, some())]);
    await expectTruth(house, "viewers");
    for (let version = 2; version < 5; version += 1) {
      const segment = random.chance(0.5)
        ? { eventName: some(), minCount: random.integer(1, 2) }
        : {
            rule: {
              kind: {
                case: "performed" as const,
                value: { eventName: some(), count: { condition: { case: "atMost" as const, value: 1 } } },
              },
            },
          };
      const { segment: edited } = await house.segments.updateSegment({ segmentId: "viewers", segment });
      dying.deaths = Array.from({ length: 40 }, () =>
        random.chance(0.25) ? (random.chance(0.5) ? "before" : "after") : "no",
      );
      let isDone = false;
      const told = untilTold("viewers", edited?.version ?? 0).then(() => {
        isDone = true;
      });
      told.catch(() => {});
      for (let step = 0; step < 40 && !isDone; step += 1) {
        if (random.chance(0.15)) await house.events.merge(organizationId, one(), one());
        else if (random.chance(0.1)) await house.events.unmerge(organizationId, one());
        else if (random.chance(0.05)) {
          for (const id of (await house.events.erase(organizationId, one())).profileIds) erased.add(id);
        } else await house.events.submit([event(one(), some())]);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await told;
      dying.deaths = [];
      await expectTruth(house, "viewers");
      const members = await membersOf(house.segments, "viewers");
      expect([...believe(await heardOfOthers())].sort()).toEqual(members);
    }
    const origins = (await heardOf("viewers")).map(({ change }) => change.origin);
    expect(origins.filter((origin) => origin === EDIT).length).toBeGreaterThan(20);
  }, 60_000);

  test("each rule switch is fully announced before the next one starts", async () => {
    house = await openHouse(engine);
    await house.segments.createSegment(VIEWERS);
    await expectTruth(house, "viewers");
    const profiles = Array.from({ length: 60 }, () => house.newProfile());
    await house.events.submit(profiles.map((id, index) => event(id, index % 3 === 0 ? "viewed" : "bought")));
    await expectTruth(house, "viewers");
    for (let round = 0; round < 4; round += 1) {
      const segment = round % 2 === 0 ? BUYERS : { eventName: "viewed", minCount: 1 };
      await house.segments.updateSegment({ segmentId: "viewers", segment });
      // Some rules switch before the next edit; the next edit replaces the rest.
      if (round === 1) await untilTold("viewers", 3);
      else await house.clock.advance(round * 100);
    }
    await untilTold("viewers", 5);
    await expectTruth(house, "viewers");
    const members = await membersOf(house.segments, "viewers");
    expect([...believe(await heardOf("viewers"))].sort()).toEqual(members);
    expect(await house.database.reader("segments").whereNotNull("told_id")).toEqual([]);
  });

  test("a watch restarts once the rule switch is fully announced, and misses no later change", async () => {
    house = await openHouse(engine);
    await house.segments.createSegment(VIEWERS);
    await expectTruth(house, "viewers");
    const profiles = Array.from({ length: 200 }, () => house.newProfile());
    await house.events.submit(profiles.map((id, index) => event(id, index % 2 === 0 ? "viewed" : "bought")));
    const members = new Set<string>();
    const stop = new AbortController();
    let restarts = 0;
    const watching = (async () => {
      const watch = house.segments.watchSegment({ segmentId: "viewers" }, { signal: stop.signal });
      for await (const { kind } of watch) {
        if (kind.case === "members") {
          if (kind.value.restart) {
            restarts += 1;
            members.clear();
          }
          for (const { profileId } of kind.value.members) members.add(profileId);
        } else if (kind.case === "changes") {
          for (const { profileId, member } of kind.value.changes) {
            expect(members.has(profileId)).toBe(!member);
            if (member) members.add(profileId);
            else members.delete(profileId);
          }
        }
      }
    })();
    watching.catch(() => {});
    await waitFor(() => members.size === 100);
    await house.segments.updateSegment({ segmentId: "viewers", segment: BUYERS });
    for (const id of profiles.slice(0, 40)) {
      await house.events.submit([event(id, "bought")]);
      await house.clock.advance(50);
    }
    await untilTold("viewers", 2);
    const expected = await membersOf(house.segments, "viewers");
    await waitFor(async () => {
      await house.clock.advance(300);
      return members.size === expected.length;
    });
    expect([...members].sort()).toEqual(expected);
    expect(restarts).toBe(1);
    stop.abort();
    await watching.catch(() => {});
  });
});
