// Tests rule switches: a profile that matches only one of the two rules gets exactly one change, despite
// concurrent changes and crashes.
import { SegmentState } from "@muster/contracts/muster/segments/v1/segment_pb";
import { MembershipOrigin } from "@muster/contracts/muster/segments/v1/segments_events_pb";
import { type ProfileId, SeededRandom } from "@muster/core";
import { CrashingDatabase, ENGINES, waitFor } from "@muster/testkit";
import { performed } from "@muster/testkit/rules";
import { afterEach, describe, expect, test } from "vitest";
import { readAnnouncements, replayMembership } from "./announcements.ts";

import type { TestEvent } from "./fake-events-service.ts";
import { expectExactMembers, membersOf, openHarness, type SegmentsHarness } from "./segments-harness.ts";

const VIEWERS = { name: "Viewers", eventName: "viewed", minCount: 1 };
const BUYERS = { eventName: "bought", minCount: 1 };
const { LIVE } = SegmentState;
const { EDIT } = MembershipOrigin;

describe.each(ENGINES)("rule switches on %s", (engine) => {
  let harness: SegmentsHarness;
  afterEach(() => harness.close());

  function event(profileId: ProfileId, name: string): TestEvent {
    return { organizationId: harness.organizationId, profileId, name, ms: harness.clock.nowMs() };
  }

  const announcementsOfSegment = async (slug: string) =>
    (await readAnnouncements(harness.database)).filter(({ change }) => change.segmentSlug === slug);

  /** Reads and edits without waiting. */
  const eventual = () => harness.first.as(harness.organizationId, { "muster-consistency": "eventual" });

  /** Waits until the rule serves and its switch is fully published. */
  async function untilSwitched(segmentId: string, version: number): Promise<void> {
    await waitFor(
      async () => {
        await harness.clock.advance(200);
        const { segment } = await eventual().getSegment({ segmentId });
        const [{ left } = { left: 1 }] = await harness.database
          .reader("segment_purges")
          .where("published_changes", ">", 0)
          .count<{ left: number }[]>({ left: "*" });
        return segment?.state === LIVE && segment.version === version && Number(left) === 0;
      },
      { timeoutMs: 20_000 },
    );
  }

  test("differences are announced as edits; profiles that match both rules keep entered_at", async () => {
    harness = await openHarness(engine);
    await harness.segments.createSegment(VIEWERS);
    await expectExactMembers(harness, "viewers");
    const [both, viewer, buyer, late] = [1, 2, 3, 4].map(() => harness.newProfile()) as [...ProfileId[]] as [
      ProfileId,
      ProfileId,
      ProfileId,
      ProfileId,
    ];
    await harness.events.submit([event(both, "viewed"), event(viewer, "viewed"), event(buyer, "bought")]);
    await harness.events.submit([event(both, "bought"), event(late, "bought")]);
    await expectExactMembers(harness, "viewers");
    const enteredOf = async (id: ProfileId) => {
      const { profiles } = await harness.segments.listSegmentMembers({ segmentId: "viewers" });
      return profiles.find((profile) => profile.id === id)?.enteredAt;
    };
    const sinceBefore = await enteredOf(both);
    harness.clock.setNowMs(harness.clock.nowMs() + 60_000);
    let isHeld = true;
    harness.events.beforeScan = async (shard) => {
      if (shard === 15) await waitFor(() => !isHeld);
    };
    await eventual().updateSegment({ segmentId: "viewers", segment: BUYERS });
    // Enters according to the serving rule during the backfill of the other.
    harness.clock.setNowMs(harness.clock.nowMs() + 60_000);
    await harness.events.submit([event(late, "viewed")]);
    isHeld = false;
    // The event is applied before the clock advances.
    await membersOf(harness.segments, "viewers");
    await untilSwitched("viewers", 2);
    expect(await membersOf(harness.segments, "viewers")).toEqual([both, buyer, late].sort());
    expect(await enteredOf(both)).toEqual(sinceBefore);
    expect(await enteredOf(late)).toEqual(
      expect.objectContaining({ seconds: BigInt(Math.floor(harness.events.raw.at(-1)?.ms ?? 0) / 1000) }),
    );
    const edits = (await announcementsOfSegment("viewers")).filter(({ change }) => change.origin === EDIT);
    expect(
      edits.map(({ profileId, member, change }) => [profileId, member, change.ruleVersion]).sort(),
    ).toEqual(
      [
        [viewer, false, 2],
        [buyer, true, 2],
      ].sort(),
    );
    expect([...replayMembership(await announcementsOfSegment("viewers"))].sort()).toEqual(
      [both, buyer, late].sort(),
    );
    await harness.events.submit([event(viewer, "bought")]);
    await expectExactMembers(harness, "viewers");
    expect([...replayMembership(await announcementsOfSegment("viewers"))].sort()).toEqual(
      await membersOf(harness.segments, "viewers"),
    );
  });

  test("entries of a version that never served reads are announced only on request", async () => {
    harness = await openHarness(engine);
    const profiles = Array.from({ length: 20 }, () => harness.newProfile());
    await harness.events.submit(profiles.flatMap((id) => [event(id, "viewed"), event(id, "bought")]));
    await harness.segments.listSegments({});
    let isHeld = true;
    harness.events.beforeScan = async () => {
      await waitFor(() => !isHeld);
    };
    await harness.segments.createSegment(VIEWERS);
    await harness.segments.createSegment({ ...VIEWERS, name: "Loud", announceBackfill: true });
    for (const segmentId of ["viewers", "loud"])
      await eventual().updateSegment({ segmentId, segment: BUYERS });
    isHeld = false;
    for (const slug of ["viewers", "loud"]) {
      await untilSwitched(slug, 2);
      await expectExactMembers(harness, slug);
    }
    expect(
      replayMembership(await announcementsOfSegment("viewers"), await membersOf(harness.segments, "viewers"))
        .size,
    ).toBe(20);
    expect(replayMembership(await announcementsOfSegment("loud")).size).toBe(20);
  });

  test("announcements add up to the members despite concurrent changes, merges, erasures and crashes", async () => {
    const dying = new CrashingDatabase();
    harness = await openHarness(engine, { wrap: dying.wrap });
    const random = new SeededRandom(11);
    await harness.segments.createSegment(VIEWERS);
    await expectExactMembers(harness, "viewers");
    const { organizationId } = harness;
    const profiles = Array.from({ length: 120 }, () => harness.newProfile());
    // For an erased profile, only the last announcement is kept.
    const erased = new Set<ProfileId>();
    const one = () => pick(profiles.filter((id) => !erased.has(id)));
    const pick = (ids: readonly ProfileId[]) =>
      ids[random.integer(0, ids.length - 1)] ?? harness.newProfile();
    const announcementsOfOthers = async () =>
      (await announcementsOfSegment("viewers")).filter(
        ({ profileId }) => !erased.has(profileId as ProfileId),
      );
    const some = () => (random.chance(0.5) ? "viewed" : "bought");
    for (const id of profiles) await harness.events.submit([event(id, some())]);
    await expectExactMembers(harness, "viewers");
    for (let version = 2; version < 5; version += 1) {
      const segment = random.chance(0.5)
        ? { eventName: some(), minCount: random.integer(1, 2) }
        : { rule: performed(some()).atMost(1) };
      const { segment: edited } = await harness.segments.updateSegment({ segmentId: "viewers", segment });
      dying.crashes = Array.from({ length: 40 }, () =>
        random.chance(0.25) ? (random.chance(0.5) ? "before" : "after") : "no",
      );
      let isDone = false;
      const switched = untilSwitched("viewers", edited?.version ?? 0).then(() => {
        isDone = true;
      });
      switched.catch(() => {});
      for (let step = 0; step < 40 && !isDone; step += 1) {
        if (random.chance(0.15)) await harness.events.merge(organizationId, one(), one());
        else if (random.chance(0.1)) await harness.events.unmerge(organizationId, one());
        else if (random.chance(0.05)) {
          for (const id of (await harness.events.erase(organizationId, one())).profileIds) erased.add(id);
        } else await harness.events.submit([event(one(), some())]);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await switched;
      dying.crashes = [];
      await expectExactMembers(harness, "viewers");
      const members = await membersOf(harness.segments, "viewers");
      expect([...replayMembership(await announcementsOfOthers())].sort()).toEqual(members);
    }
    const origins = (await announcementsOfSegment("viewers")).map(({ change }) => change.origin);
    expect(origins.filter((origin) => origin === EDIT).length).toBeGreaterThan(20);
  }, 60_000);

  test("each rule switch is fully announced before the next one starts", async () => {
    harness = await openHarness(engine);
    await harness.segments.createSegment(VIEWERS);
    await expectExactMembers(harness, "viewers");
    const profiles = Array.from({ length: 60 }, () => harness.newProfile());
    await harness.events.submit(
      profiles.map((id, index) => event(id, index % 3 === 0 ? "viewed" : "bought")),
    );
    await expectExactMembers(harness, "viewers");
    for (let round = 0; round < 4; round += 1) {
      const segment = round % 2 === 0 ? BUYERS : { eventName: "viewed", minCount: 1 };
      await harness.segments.updateSegment({ segmentId: "viewers", segment });
      // Some rules switch before the next edit; the next edit replaces the rest.
      if (round === 1) await untilSwitched("viewers", 3);
      else await harness.clock.advance(round * 100);
    }
    await untilSwitched("viewers", 5);
    await expectExactMembers(harness, "viewers");
    const members = await membersOf(harness.segments, "viewers");
    expect([...replayMembership(await announcementsOfSegment("viewers"))].sort()).toEqual(members);
    expect(await harness.database.reader("segments").whereNotNull("previous_evaluation_id")).toEqual([]);
  });

  test("a watch restarts once the rule switch is fully announced, and misses no later change", async () => {
    harness = await openHarness(engine);
    await harness.segments.createSegment(VIEWERS);
    await expectExactMembers(harness, "viewers");
    const profiles = Array.from({ length: 200 }, () => harness.newProfile());
    await harness.events.submit(
      profiles.map((id, index) => event(id, index % 2 === 0 ? "viewed" : "bought")),
    );
    const members = new Set<string>();
    const stop = new AbortController();
    let restarts = 0;
    const watching = (async () => {
      const watch = harness.segments.watchSegment({ segmentId: "viewers" }, { signal: stop.signal });
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
    await harness.segments.updateSegment({ segmentId: "viewers", segment: BUYERS });
    for (const id of profiles.slice(0, 40)) {
      await harness.events.submit([event(id, "bought")]);
      await harness.clock.advance(50);
    }
    await untilSwitched("viewers", 2);
    const expected = await membersOf(harness.segments, "viewers");
    await waitFor(async () => {
      await harness.clock.advance(300);
      return members.size === expected.length;
    });
    expect([...members].sort()).toEqual(expected);
    expect(restarts).toBe(1);
    stop.abort();
    await watching.catch(() => {});
  });
});
