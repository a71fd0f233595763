// Exits and entries by time alone, without events or reads.
import type { ProfileId } from "@muster/core";
import { ENGINES, waitFor } from "@muster/testkit";
import { afterEach, describe, expect, test } from "vitest";
import { DAY_MS, expectTruth, type House, membersOf, openHouse } from "./house.ts";

describe.each(ENGINES)("timers on %s", (engine) => {
  let house: House;
  afterEach(() => house.close());

  async function submit(profileId: ProfileId, name: string, atMs: number): Promise<void> {
    const { organizationId } = house;
    await house.events.submit([{ organizationId, profileId, name, ms: atMs }]);
  }

  /** Reads stored members without waking workers. */
  function storedMembers(): Promise<number> {
    return house.database
      .reader("memberships")
      .where("member", 1)
      .then((rows: unknown[]) => rows.length);
  }

  test("an exit happens within a second of its instant, without any read", async () => {
    house = await openHouse(engine);
    await house.segments.createSegment({ name: "Lately", eventName: "viewed", minCount: 1, withinDays: 1 });
    const startMs = house.clock.nowMs();
    for (let index = 0; index < 40; index += 1) await submit(house.newProfile(), "viewed", startMs);
    expect(await membersOf(house.segments, "lately")).toHaveLength(40);
    house.clock.setNowMs(startMs + DAY_MS - 1);
    expect(await storedMembers()).toBe(40);
    await house.clock.advance(1000);
    await waitFor(async () => (await storedMembers()) === 0);
    await expectTruth(house, "lately");
  });

  test("a window of seconds ends at its millisecond", async () => {
    house = await openHouse(engine);
    const window = { window: { case: "last" as const, value: { seconds: 2n } } };
    const count = { condition: { case: "atLeast" as const, value: 1 } };
    const value = { eventName: "viewed", count, window };
    await house.segments.createSegment({ name: "Now", rule: { kind: { case: "performed", value } } });
    await submit(house.newProfile(), "viewed", house.clock.nowMs());
    expect(await membersOf(house.segments, "now")).toHaveLength(1);
    await house.clock.advance(1999);
    expect(await membersOf(house.segments, "now")).toHaveLength(1);
    await house.clock.advance(1);
    await waitFor(async () => (await storedMembers()) === 0);
  });

  test("an event of one segment does not remove the due time of another segment", async () => {
    house = await openHouse(engine);
    for (const eventName of ["viewed", "bought"]) {
      await house.segments.createSegment({ name: eventName, eventName, minCount: 1, withinDays: 1 });
    }
    const ada = house.newProfile();
    const startMs = house.clock.nowMs();
    await submit(ada, "viewed", startMs);
    await expectTruth(house, "viewed");
    house.clock.setNowMs(startMs + DAY_MS / 2);
    await submit(ada, "bought", startMs + DAY_MS / 2);
    house.clock.setNowMs(startMs + DAY_MS);
    await expectTruth(house, "viewed");
    await expectTruth(house, "bought");
    house.clock.setNowMs(startMs + DAY_MS + DAY_MS / 2);
    await expectTruth(house, "bought");
  });

  test("thousands of profiles due in the same millisecond exit before the next read returns", async () => {
    house = await openHouse(engine);
    await house.segments.createSegment({ name: "Lately", eventName: "viewed", minCount: 1, withinDays: 1 });
    const startMs = house.clock.nowMs();
    const { organizationId } = house;
    const events = Array.from({ length: 3000 }, () => ({
      organizationId,
      profileId: house.newProfile(),
      name: "viewed",
      ms: startMs,
    }));
    await house.events.submit(events);
    await expectTruth(house, "lately");
    house.clock.setNowMs(startMs + DAY_MS);
    expect(await membersOf(house.segments, "lately")).toEqual([]);
  });
});
