// Tests announcements: entries and exits with their causes, each exactly once, in the transaction of the
// change.

import type { MessageInitShape } from "@bufbuild/protobuf";
import type { CreateSegmentRequestSchema } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import { MembershipOrigin } from "@muster/contracts/muster/segments/v1/segments_events_pb";
import { bytesToUuid, type OrganizationId, type ProfileId, shardOf } from "@muster/core";
import { ENGINES, waitFor } from "@muster/testkit";
import { afterEach, describe, expect, test } from "vitest";
import { believe, type Heard, heardFrom } from "./announced.ts";
import { DyingDatabase } from "./dying-database.ts";
import type { TestEvent } from "./events-stand-in.ts";
import { DAY_MS, expectTruth, type House, membersOf, openHouse } from "./house.ts";

const VIEWED: MessageInitShape<typeof CreateSegmentRequestSchema> = {
  ...{ name: "Viewed", eventName: "viewed", minCount: 1, withinDays: 1 },
};

/** A short window, because announcements are kept for one day only. */
const lately = (name: string, seconds: bigint): MessageInitShape<typeof CreateSegmentRequestSchema> => ({
  name,
  rule: {
    kind: {
      case: "performed",
      value: {
        eventName: "viewed",
        count: { condition: { case: "atLeast", value: 1 } },
        window: { window: { case: "last", value: { seconds } } },
      },
    },
  },
});

describe.each(ENGINES)("announcements on %s", (engine) => {
  let house: House;
  afterEach(() => house.close());

  const submit = (profileId: ProfileId, name: string, ms: number, organizationId = house.organizationId) =>
    house.events.submit([{ organizationId, profileId, name, ms }]);

  /** Returns the announcements about one segment, once reads are consistent. */
  async function heardOf(
    slug: string,
    organizationId: OrganizationId = house.organizationId,
  ): Promise<Heard[]> {
    await house.first.as(organizationId).getSegment({ segmentId: slug });
    return (await heardFrom(house.database)).filter(({ change }) => change.segmentSlug === slug);
  }

  test("an entry by an event and an exit by time have their time, cause and rule version", async () => {
    house = await openHouse(engine);
    const { segment } = await house.segments.createSegment(lately("Viewed", 60n));
    await membersOf(house.segments, "viewed");
    const ada = house.newProfile();
    const startMs = house.clock.nowMs();
    await submit(ada, "viewed", startMs - 5);
    const [entered] = await heardOf("viewed");
    expect(entered).toMatchObject({
      ...{ member: true, profileId: ada, segmentId: segment?.id },
      change: {
        ...{ origin: MembershipOrigin.LIVE, ruleVersion: 1, segmentSlug: "viewed" },
        ...{ changedMs: BigInt(startMs - 5), evaluatedMs: BigInt(startMs), enteredMs: BigInt(startMs) },
      },
    });
    expect(bytesToUuid(entered?.change.organizationId ?? new Uint8Array(16))).toBe(house.organizationId);
    expect(bytesToUuid(entered?.change.causeEventId ?? new Uint8Array(16))).toBe(house.events.raw[0]?.id);
    // Observed late, dated to the millisecond.
    house.clock.setNowMs(startMs + 100_000);
    const [, exited] = await heardOf("viewed");
    expect(exited).toMatchObject({
      ...{ member: false, profileId: ada },
      change: {
        ...{
          origin: MembershipOrigin.TIMER,
          changedMs: BigInt(startMs - 5 + 60_000),
          causeEventId: new Uint8Array(),
        },
        ...{ evaluatedMs: BigInt(startMs + 100_000), enteredMs: BigInt(startMs) },
      },
    });
  });

  test("two windows that end before the next timer visit have their own instants", async () => {
    house = await openHouse(engine);
    await house.segments.createSegment(lately("Viewed", 60n));
    await house.segments.createSegment(lately("Longer", 90n));
    await membersOf(house.segments, "longer");
    const startMs = house.clock.nowMs();
    await submit(house.newProfile(), "viewed", startMs);
    await heardOf("longer");
    house.clock.setNowMs(startMs + 200_000);
    for (const [slug, seconds] of [
      ["viewed", 60],
      ["longer", 90],
    ] as const) {
      const [, exited] = await heardOf(slug);
      expect(exited?.change.changedMs).toBe(BigInt(startMs + seconds * 1000));
    }
  });

  test("the event that completes a cart is the cause of the exit, also for the default segment", async () => {
    house = await openHouse(engine);
    const ada = house.newProfile();
    const startMs = house.clock.nowMs();
    await submit(ada, "cart.added", startMs);
    await heardOf("abandoned-cart");
    await submit(ada, "order.completed", startMs);
    const heard = await heardOf("abandoned-cart");
    expect(heard.map(({ member, change }) => [member, change.origin])).toEqual([
      [true, MembershipOrigin.LIVE],
      [false, MembershipOrigin.LIVE],
    ]);
    expect(bytesToUuid(heard[1]?.change.causeEventId ?? new Uint8Array(16))).toBe(house.events.raw[1]?.id);
  });

  test("an event received long after it happened causes a late change", async () => {
    house = await openHouse(engine);
    await house.segments.createSegment(VIEWED);
    await membersOf(house.segments, "viewed");
    const nowMs = house.clock.nowMs();
    await submit(house.newProfile(), "viewed", nowMs - DAY_MS / 2);
    const [heard] = await heardOf("viewed");
    expect(heard?.change).toMatchObject({ origin: MembershipOrigin.LATE, changedMs: BigInt(nowMs) });
    expect(heard?.change.causeEventId).toHaveLength(16);
  });

  test("an event dated in the future is announced when it becomes due", async () => {
    house = await openHouse(engine);
    await house.segments.createSegment(VIEWED);
    await membersOf(house.segments, "viewed");
    const startMs = house.clock.nowMs();
    await submit(house.newProfile(), "viewed", startMs + 1000);
    expect(await heardOf("viewed")).toEqual([]);
    house.clock.setNowMs(startMs + 60_000);
    const [heard] = await heardOf("viewed");
    expect(heard?.change).toMatchObject({
      origin: MembershipOrigin.TIMER,
      changedMs: BigInt(startMs + 1000),
    });
  });

  test("entries of a backfill are announced only on request; later exits always", async () => {
    house = await openHouse(engine);
    const startMs = house.clock.nowMs();
    const profiles = Array.from({ length: 20 }, () => house.newProfile());
    for (const profileId of profiles) await submit(profileId, "viewed", startMs);
    // All events are applied before the segment exists.
    await house.segments.listSegments({});
    await house.segments.createSegment(lately("Quiet", 60n));
    await house.segments.createSegment({ ...lately("Loud", 60n), announceBackfill: true });
    expect(await membersOf(house.segments, "quiet")).toEqual([...profiles].sort());
    expect(await heardOf("quiet")).toEqual([]);
    const loud = await heardOf("loud");
    expect([...believe(loud)].sort()).toEqual([...profiles].sort());
    expect(new Set(loud.map(({ change }) => change.origin))).toEqual(new Set([MembershipOrigin.BACKFILL]));
    house.clock.setNowMs(startMs + 60_000);
    expect((await heardOf("quiet")).map(({ member }) => member)).toEqual(profiles.map(() => false));
  });

  test("a change found by a rebuild is announced with its own origin", async () => {
    house = await openHouse(engine);
    await house.segments.createSegment(VIEWED);
    await membersOf(house.segments, "viewed");
    const ada = house.newProfile();
    const event = {
      organizationId: house.organizationId,
      profileId: ada,
      name: "viewed",
      ms: house.clock.nowMs(),
    };
    await house.events.submitSpoilt([event], Buffer.from("nonsense"));
    const heard = await waitFor(async () => {
      await house.clock.advance(1000);
      const all = await heardFrom(house.database);
      return all.length > 0 && all;
    });
    expect(heard.map(({ change }) => change.origin)).toEqual([MembershipOrigin.DERIVATION]);
    await expectTruth(house, "viewed");
  });

  test("a shard's share is split to the size of a message, without losing a profile", async () => {
    house = await openHouse(engine);
    const slug = "v".repeat(255);
    await house.segments.createSegment({ ...VIEWED, name: slug });
    await membersOf(house.segments, slug);
    const ms = house.clock.nowMs();
    const { organizationId } = house;
    const events: TestEvent[] = [];
    while (events.length < 2000) {
      const profileId = house.newProfile();
      if (shardOf(organizationId, profileId) === 3)
        events.push({ organizationId, profileId, name: "viewed", ms });
    }
    await house.events.submit(events);
    expect(believe(await heardOf(slug)).size).toBe(2000);
    const [row]: { bytes: number }[] = await house.database
      .reader("outbox_messages")
      .select({ bytes: house.database.reader.raw("max(length(data))") });
    expect(row?.bytes).toBeLessThan(512 * 1024);
    expect(row?.bytes).toBeGreaterThan(400 * 1024);
  });

  test("announcements add up to the members despite crashes around the commits", async () => {
    const dying = new DyingDatabase();
    house = await openHouse(engine, { wrap: dying.wrap });
    await house.segments.createSegment(lately("Viewed", 60n));
    await membersOf(house.segments, "viewed");
    const profiles = Array.from({ length: 40 }, () => house.newProfile());
    const startMs = house.clock.nowMs();
    let atMs = startMs;
    for (let round = 0; round < 12; round += 1) {
      dying.deaths = (["before", "after", "before", "after", "after"] as const).slice(0, round % 6);
      const some = profiles.filter((_, index) => (index * 7 + round) % 3 === 0);
      await house.events.submit(
        some.map((profileId) => ({
          ...{ organizationId: house.organizationId, profileId, name: "viewed", ms: atMs },
        })),
      );
      atMs += 20_000;
      house.clock.setNowMs(atMs);
      await waitFor(async () => {
        await house.clock.advance(500);
        return dying.deaths.length === 0;
      });
      const reading = heardOf("viewed");
      const heard = await waitFor(async () => {
        await house.clock.advance(200);
        return Promise.race([reading, Promise.resolve(undefined)]);
      });
      expect([...believe(heard)].sort()).toEqual(await membersOf(house.segments, "viewed"));
    }
    await expectTruth(house, "viewed");
  });

  test("a replica that takes over a shard neither loses nor repeats changes", async () => {
    house = await openHouse(engine, { exclusive: false });
    await house.segments.createSegment(VIEWED);
    await membersOf(house.segments, "viewed");
    const profiles = Array.from({ length: 60 }, () => house.newProfile());
    const events = profiles.map((profileId) => ({
      ...{ organizationId: house.organizationId, profileId, name: "viewed", ms: house.clock.nowMs() },
    }));
    const submitting = (async () => {
      for (const event of events) await house.events.submit([event]);
    })();
    await waitFor(async () => (await heardFrom(house.database)).length > 10);
    await house.first.stop();
    await submitting;
    const second = await house.start("second", false);
    const moving = { ...house, first: second };
    await expectTruth(moving, "viewed");
    expect([...believe(await heardFrom(house.database))].sort()).toEqual([...profiles].sort());
    const relayed = await waitFor(async () => {
      await house.clock.advance(500);
      const positions = await house.database.reader("shard_positions").sum({ sum: "position" });
      const published = await house.database.reader("relay_cursors").sum({ sum: "published_position" });
      return Number(positions[0]?.sum) === Number(published[0]?.sum) && positions[0];
    });
    expect(Number(relayed.sum)).toBeGreaterThan(0);
  });
});
