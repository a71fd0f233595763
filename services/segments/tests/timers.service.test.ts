// Exits and entries by time alone, without events or reads.
import type { ProfileId } from "@muster/core";
import { ENGINES, waitFor } from "@muster/testkit";
import { performed } from "@muster/testkit/rules";
import { afterEach, describe, expect, test } from "vitest";
import {
  DAY_MS,
  expectExactMembers,
  membersOf,
  openHarness,
  type SegmentsHarness,
} from "./segments-harness.ts";

describe.each(ENGINES)("timers on %s", (engine) => {
  let harness: SegmentsHarness;
  afterEach(() => harness.close());

  async function submit(profileId: ProfileId, name: string, atMs: number): Promise<void> {
    const { organizationId } = harness;
    await harness.events.submit([{ organizationId, profileId, name, ms: atMs }]);
  }

  /** Reads stored members without waking workers. */
  function storedMembers(): Promise<number> {
    return harness.database
      .reader("memberships")
      .where("member", 1)
      .then((rows: unknown[]) => rows.length);
  }

  test("an exit happens within a second of its instant, without any read", async () => {
    harness = await openHarness(engine);
    await harness.segments.createSegment({ name: "Lately", eventName: "viewed", minCount: 1, withinDays: 1 });
    const startMs = harness.clock.nowMs();
    for (let index = 0; index < 40; index += 1) await submit(harness.newProfile(), "viewed", startMs);
    expect(await membersOf(harness.segments, "lately")).toHaveLength(40);
    harness.clock.setNowMs(startMs + DAY_MS - 1);
    expect(await storedMembers()).toBe(40);
    await harness.clock.advance(1000);
    await waitFor(async () => (await storedMembers()) === 0);
    await expectExactMembers(harness, "lately");
  });

  test("a window of seconds ends at its millisecond", async () => {
    harness = await openHarness(engine);
    const rule = performed("viewed").atLeast(1).within("2s");
    await harness.segments.createSegment({ name: "Now", rule });
    await submit(harness.newProfile(), "viewed", harness.clock.nowMs());
    expect(await membersOf(harness.segments, "now")).toHaveLength(1);
    await harness.clock.advance(1999);
    expect(await membersOf(harness.segments, "now")).toHaveLength(1);
    await harness.clock.advance(1);
    await waitFor(async () => (await storedMembers()) === 0);
  });

  test("an event of one segment does not remove the due time of another segment", async () => {
    harness = await openHarness(engine);
    for (const eventName of ["viewed", "bought"]) {
      await harness.segments.createSegment({ name: eventName, eventName, minCount: 1, withinDays: 1 });
    }
    const ada = harness.newProfile();
    const startMs = harness.clock.nowMs();
    await submit(ada, "viewed", startMs);
    await expectExactMembers(harness, "viewed");
    harness.clock.setNowMs(startMs + DAY_MS / 2);
    await submit(ada, "bought", startMs + DAY_MS / 2);
    harness.clock.setNowMs(startMs + DAY_MS);
    await expectExactMembers(harness, "viewed");
    await expectExactMembers(harness, "bought");
    harness.clock.setNowMs(startMs + DAY_MS + DAY_MS / 2);
    await expectExactMembers(harness, "bought");
  });

  test("thousands of profiles due in the same millisecond exit before the next read returns", async () => {
    harness = await openHarness(engine);
    await harness.segments.createSegment({ name: "Lately", eventName: "viewed", minCount: 1, withinDays: 1 });
    const startMs = harness.clock.nowMs();
    const { organizationId } = harness;
    const events = Array.from({ length: 3000 }, () => ({
      organizationId,
      profileId: harness.newProfile(),
      name: "viewed",
      ms: startMs,
    }));
    await harness.events.submit(events);
    await expectExactMembers(harness, "lately");
    harness.clock.setNowMs(startMs + DAY_MS);
    expect(await membersOf(harness.segments, "lately")).toEqual([]);
  });
});
