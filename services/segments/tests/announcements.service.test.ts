// Tests announcements: entries and exits with their causes, each exactly once, in the transaction of the
// change.

import type { MessageInitShape } from "@bufbuild/protobuf";
import type { CreateSegmentRequestSchema } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import { MembershipOrigin } from "@muster/contracts/muster/segments/v1/segments_events_pb";
import { bytesToUuid, type OrganizationId, type ProfileId, shardOf } from "@muster/core";
import { CrashingDatabase, ENGINES, waitFor } from "@muster/testkit";
import { type DurationText, performed } from "@muster/testkit/rules";
import { afterEach, describe, expect, test } from "vitest";
import { type AnnouncedMembership, readAnnouncements, replayMembership } from "./announcements.ts";

import type { TestEvent } from "./fake-events-service.ts";
import {
  DAY_MS,
  expectExactMembers,
  membersOf,
  openHarness,
  type SegmentsHarness,
} from "./segments-harness.ts";

const VIEWED: MessageInitShape<typeof CreateSegmentRequestSchema> = {
  name: "Viewed",
  eventName: "viewed",
  minCount: 1,
  withinDays: 1,
};

/** A short window, because announcements are kept for one day only. */
const lately = (name: string, last: DurationText) => ({
  name,
  rule: performed("viewed").atLeast(1).within(last),
});

describe.each(ENGINES)("announcements on %s", (engine) => {
  let harness: SegmentsHarness;
  afterEach(() => harness.close());

  const submit = (profileId: ProfileId, name: string, ms: number, organizationId = harness.organizationId) =>
    harness.events.submit([{ organizationId, profileId, name, ms }]);

  /** Returns the announcements about one segment, once reads are consistent. */
  async function announcementsOfSegment(
    slug: string,
    organizationId: OrganizationId = harness.organizationId,
  ): Promise<AnnouncedMembership[]> {
    await harness.first.as(organizationId).getSegment({ segmentId: slug });
    return (await readAnnouncements(harness.database)).filter(({ change }) => change.segmentSlug === slug);
  }

  test("an entry by an event and an exit by time have their time, cause and rule version", async () => {
    harness = await openHarness(engine);
    const { segment } = await harness.segments.createSegment(lately("Viewed", "1m"));
    await membersOf(harness.segments, "viewed");
    const ada = harness.newProfile();
    const startMs = harness.clock.nowMs();
    await submit(ada, "viewed", startMs - 5);
    const [entered] = await announcementsOfSegment("viewed");
    expect(entered).toMatchObject({
      member: true,
      profileId: ada,
      segmentId: segment?.id,
      change: {
        origin: MembershipOrigin.LIVE,
        ruleVersion: 1,
        segmentSlug: "viewed",
        changedMs: BigInt(startMs - 5),
        evaluatedMs: BigInt(startMs),
        enteredMs: BigInt(startMs),
      },
    });
    expect(bytesToUuid(entered?.change.organizationId ?? new Uint8Array(16))).toBe(harness.organizationId);
    expect(bytesToUuid(entered?.change.causeEventId ?? new Uint8Array(16))).toBe(harness.events.raw[0]?.id);
    // Observed late, dated to the millisecond.
    harness.clock.setNowMs(startMs + 100_000);
    const [, exited] = await announcementsOfSegment("viewed");
    expect(exited).toMatchObject({
      member: false,
      profileId: ada,
      change: {
        origin: MembershipOrigin.TIMER,
        changedMs: BigInt(startMs - 5 + 60_000),
        causeEventId: new Uint8Array(),
        evaluatedMs: BigInt(startMs + 100_000),
        enteredMs: BigInt(startMs),
      },
    });
  });

  test("two windows that end before the next timer visit have their own instants", async () => {
    harness = await openHarness(engine);
    await harness.segments.createSegment(lately("Viewed", "1m"));
    await harness.segments.createSegment(lately("Longer", "90s"));
    await membersOf(harness.segments, "longer");
    const startMs = harness.clock.nowMs();
    await submit(harness.newProfile(), "viewed", startMs);
    await announcementsOfSegment("longer");
    harness.clock.setNowMs(startMs + 200_000);
    for (const [slug, seconds] of [
      ["viewed", 60],
      ["longer", 90],
    ] as const) {
      const [, exited] = await announcementsOfSegment(slug);
      expect(exited?.change.changedMs).toBe(BigInt(startMs + seconds * 1000));
    }
  });

  test("the event that completes a cart is the cause of the exit, also for the default segment", async () => {
    harness = await openHarness(engine);
    const ada = harness.newProfile();
    const startMs = harness.clock.nowMs();
    await submit(ada, "cart.added", startMs);
    await announcementsOfSegment("abandoned-cart");
    await submit(ada, "order.completed", startMs);
    const announced = await announcementsOfSegment("abandoned-cart");
    expect(announced.map(({ member, change }) => [member, change.origin])).toEqual([
      [true, MembershipOrigin.LIVE],
      [false, MembershipOrigin.LIVE],
    ]);
    expect(bytesToUuid(announced[1]?.change.causeEventId ?? new Uint8Array(16))).toBe(
      harness.events.raw[1]?.id,
    );
  });

  test("an event received long after it happened causes a late change", async () => {
    harness = await openHarness(engine);
    await harness.segments.createSegment(VIEWED);
    await membersOf(harness.segments, "viewed");
    const nowMs = harness.clock.nowMs();
    await submit(harness.newProfile(), "viewed", nowMs - DAY_MS / 2);
    const [announced] = await announcementsOfSegment("viewed");
    expect(announced?.change).toMatchObject({ origin: MembershipOrigin.LATE, changedMs: BigInt(nowMs) });
    expect(announced?.change.causeEventId).toHaveLength(16);
  });

  test("an event dated in the future is announced when it becomes due", async () => {
    harness = await openHarness(engine);
    await harness.segments.createSegment(VIEWED);
    await membersOf(harness.segments, "viewed");
    const startMs = harness.clock.nowMs();
    await submit(harness.newProfile(), "viewed", startMs + 1000);
    expect(await announcementsOfSegment("viewed")).toEqual([]);
    harness.clock.setNowMs(startMs + 60_000);
    const [announced] = await announcementsOfSegment("viewed");
    expect(announced?.change).toMatchObject({
      origin: MembershipOrigin.TIMER,
      changedMs: BigInt(startMs + 1000),
    });
  });

  test("entries of a backfill are announced only on request; later exits always", async () => {
    harness = await openHarness(engine);
    const startMs = harness.clock.nowMs();
    const profiles = Array.from({ length: 20 }, () => harness.newProfile());
    for (const profileId of profiles) await submit(profileId, "viewed", startMs);
    // All events are applied before the segment exists.
    await harness.segments.listSegments({});
    await harness.segments.createSegment(lately("Quiet", "1m"));
    await harness.segments.createSegment({ ...lately("Loud", "1m"), announceBackfill: true });
    expect(await membersOf(harness.segments, "quiet")).toEqual([...profiles].sort());
    expect(await announcementsOfSegment("quiet")).toEqual([]);
    const loud = await announcementsOfSegment("loud");
    expect([...replayMembership(loud)].sort()).toEqual([...profiles].sort());
    expect(new Set(loud.map(({ change }) => change.origin))).toEqual(new Set([MembershipOrigin.BACKFILL]));
    harness.clock.setNowMs(startMs + 60_000);
    expect((await announcementsOfSegment("quiet")).map(({ member }) => member)).toEqual(
      profiles.map(() => false),
    );
  });

  test("a change found by a rebuild is announced with its own origin", async () => {
    harness = await openHarness(engine);
    await harness.segments.createSegment(VIEWED);
    await membersOf(harness.segments, "viewed");
    const ada = harness.newProfile();
    const event = {
      organizationId: harness.organizationId,
      profileId: ada,
      name: "viewed",
      ms: harness.clock.nowMs(),
    };
    await harness.events.submitCorrupt([event], Buffer.from("nonsense"));
    const announced = await waitFor(async () => {
      await harness.clock.advance(1000);
      const all = await readAnnouncements(harness.database);
      return all.length > 0 && all;
    });
    expect(announced.map(({ change }) => change.origin)).toEqual([MembershipOrigin.REBUILD]);
    await expectExactMembers(harness, "viewed");
  });

  test("a shard's share is split to the size of a message, without losing a profile", async () => {
    harness = await openHarness(engine);
    const slug = "v".repeat(255);
    await harness.segments.createSegment({ ...VIEWED, name: slug });
    await membersOf(harness.segments, slug);
    const ms = harness.clock.nowMs();
    const { organizationId } = harness;
    const events: TestEvent[] = [];
    while (events.length < 2000) {
      const profileId = harness.newProfile();
      if (shardOf(organizationId, profileId) === 3)
        events.push({ organizationId, profileId, name: "viewed", ms });
    }
    await harness.events.submit(events);
    expect(replayMembership(await announcementsOfSegment(slug)).size).toBe(2000);
    const [row]: { bytes: number }[] = await harness.database
      .reader("outbox_messages")
      .select({ bytes: harness.database.reader.raw("max(length(data))") });
    expect(row?.bytes).toBeLessThan(512 * 1024);
    expect(row?.bytes).toBeGreaterThan(400 * 1024);
  });

  test("announcements add up to the members despite crashes around the commits", async () => {
    const dying = new CrashingDatabase();
    harness = await openHarness(engine, { wrap: dying.wrap });
    await harness.segments.createSegment(lately("Viewed", "1m"));
    await membersOf(harness.segments, "viewed");
    const profiles = Array.from({ length: 40 }, () => harness.newProfile());
    const startMs = harness.clock.nowMs();
    let atMs = startMs;
    for (let round = 0; round < 12; round += 1) {
      dying.crashes = (["before", "after", "before", "after", "after"] as const).slice(0, round % 6);
      const some = profiles.filter((_, index) => (index * 7 + round) % 3 === 0);
      await harness.events.submit(
        some.map((profileId) => ({
          organizationId: harness.organizationId,
          profileId,
          name: "viewed",
          ms: atMs,
        })),
      );
      atMs += 20_000;
      harness.clock.setNowMs(atMs);
      await waitFor(async () => {
        await harness.clock.advance(500);
        return dying.crashes.length === 0;
      });
      const reading = announcementsOfSegment("viewed");
      const announced = await waitFor(async () => {
        await harness.clock.advance(200);
        return Promise.race([reading, Promise.resolve(undefined)]);
      });
      expect([...replayMembership(announced)].sort()).toEqual(await membersOf(harness.segments, "viewed"));
    }
    await expectExactMembers(harness, "viewed");
  });

  test("a replica that takes over a shard neither loses nor repeats changes", async () => {
    harness = await openHarness(engine, { exclusive: false });
    await harness.segments.createSegment(VIEWED);
    await membersOf(harness.segments, "viewed");
    const profiles = Array.from({ length: 60 }, () => harness.newProfile());
    const events = profiles.map((profileId) => ({
      organizationId: harness.organizationId,
      profileId,
      name: "viewed",
      ms: harness.clock.nowMs(),
    }));
    const submitting = (async () => {
      for (const event of events) await harness.events.submit([event]);
    })();
    await waitFor(async () => (await readAnnouncements(harness.database)).length > 10);
    await harness.first.stop();
    await submitting;
    const second = await harness.start("second", false);
    const moving = { ...harness, first: second };
    await expectExactMembers(moving, "viewed");
    expect([...replayMembership(await readAnnouncements(harness.database))].sort()).toEqual(
      [...profiles].sort(),
    );
    const relayed = await waitFor(async () => {
      await harness.clock.advance(500);
      const positions = await harness.database.reader("shard_positions").sum({ sum: "position" });
      const published = await harness.database.reader("relay_cursors").sum({ sum: "published_position" });
      return Number(positions[0]?.sum) === Number(published[0]?.sum) && positions[0];
    });
    expect(Number(relayed.sum)).toBeGreaterThan(0);
  });
});
