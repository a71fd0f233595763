// Random traces of an organization with retention, in the running service: windows are exact despite removed
// events, and counted events stay counted.
import { SegmentPrivacyService } from "@muster/contracts/muster/segments/v1/segment_privacy_service_pb";
import { type ProfileId, SeededRandom, uuidToBytes } from "@muster/core";
import { ENGINES } from "@muster/testkit";
import { describe, expect, test } from "vitest";
import { DAY_MS, expectExactMembers, membersOf, openHarness } from "./segments-harness.ts";

const KEEP_DAYS = 5;
const STEPS = 60;
const PROFILES = 8;
const NAMES = ["viewed", "bought"] as const;

describe.each(ENGINES)("on %s", (engine) => {
  test.each([1, 2, 3])("seed %i", { timeout: 120_000 }, async (seed) => {
    const harness = await openHarness(engine);
    const { clock, organizationId, segments } = harness;
    const random = new SeededRandom(seed);
    const profiles = Array.from({ length: PROFILES }, () => harness.newProfile());
    const anyProfile = () => profiles[random.integer(0, PROFILES - 1)] as ProfileId;
    const anyName = () => NAMES[random.integer(0, 1)] ?? "viewed";
    await harness.first.client(SegmentPrivacyService, { service: "events" }).reserveRetention({
      organizationId: uuidToBytes(organizationId),
      rawEventDays: KEEP_DAYS,
    });
    await segments.createSegment({ name: "Ever", eventName: "bought", minCount: 3 });
    await segments.createSegment({ name: "Lately", eventName: "viewed", minCount: 2, withinDays: KEEP_DAYS });
    const windows = ["lately"];
    let ever: readonly string[] = [];

    const submit = () => {
      const nowMs = clock.nowMs();
      // Sometimes dated long ago, or in the future.
      const ms = nowMs - random.integer(-1, random.integer(0, 12)) * (DAY_MS / 2);
      return harness.events.submit([{ organizationId, profileId: anyProfile(), name: anyName(), ms }]);
    };
    const letTimePass = async () => {
      clock.setNowMs(clock.nowMs() + random.integer(1, 36) * 3_600_000);
      await clock.advance(1500);
      harness.events.purge(organizationId, clock.nowMs() - KEEP_DAYS * DAY_MS);
    };
    const addSegment = async (step: number) => {
      const rule = { eventName: anyName(), minCount: random.integer(1, 3) };
      await segments.createSegment({ name: `W${step}`, ...rule, withinDays: random.integer(1, KEEP_DAYS) });
      windows.push(`w${step}`);
    };

    for (let step = 0; step < STEPS; step += 1) {
      const turn = random.integer(0, 9);
      if (turn < 6) await submit();
      else if (turn < 9) await letTimePass();
      else await addSegment(step);
      if (step % 10 !== 9) continue;
      for (const slug of windows) await expectExactMembers(harness, slug);
      const now = await membersOf(segments, "ever");
      expect(now).toEqual(expect.arrayContaining([...ever]));
      ever = now;
      // The rule existed from the start, so every purchase was applied.
      await expectExactMembers(harness, "ever");
    }
    await harness.close();
  });
});
