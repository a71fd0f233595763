// The verification finds no mismatch in correct data, whatever work is pending, and reports every planted
// mismatch.
import { type ProfileId, shardOf, uuidToBytes } from "@muster/core";
import { Metrics } from "@muster/metrics";
import { ENGINES, waitFor } from "@muster/testkit";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { RandomSample } from "../src/verification/random-sample.ts";
import { RawEventSource } from "../src/verification/raw-profiles.ts";
import {
  type FoundMismatch,
  type Progress,
  SegmentVerifier,
  type VerificationRequest,
} from "../src/verification/segment-verifier.ts";
import { VerificationMetrics } from "../src/verification/verification-metrics.ts";
import { DAY_MS, openHarness, type SegmentsHarness } from "./segments-harness.ts";

const EVERYTHING: VerificationRequest = { profiles: 1000, seed: 1, organizationId: undefined };

describe.each(ENGINES)("the verification on %s", (engine) => {
  let harness: SegmentsHarness;
  let metrics: Metrics;
  let profiles: ProfileId[];

  beforeEach(async () => {
    harness = await openHarness(engine);
    metrics = new Metrics();
    await harness.segments.createSegment({ name: "Fans", eventName: "viewed", minCount: 3, withinDays: 1 });
    profiles = Array.from({ length: 12 }, () => harness.newProfile());
    const nowMs = harness.clock.nowMs();
    const happened = profiles.flatMap((_, index) => [
      { profile: index, name: "viewed", ms: nowMs - 1000 * index },
      { profile: index, name: "viewed", ms: nowMs - (DAY_MS / 8) * index },
      { profile: index, name: index % 2 === 0 ? "viewed" : "cart.added", ms: nowMs - 5 },
      { profile: index, name: "viewed", ms: nowMs + 60_000 * index },
    ]);
    await submit(...happened);
    await harness.segments.listSegmentMembers({ segmentId: "fans" });
  });
  afterEach(async () => harness.close());

  async function submit(...events: { profile: number; name: string; ms: number }[]): Promise<void> {
    const { organizationId } = harness;
    await harness.events.submit(
      events.map(({ profile, name, ms }) => ({ organizationId, profileId: id(profile), name, ms })),
    );
  }

  function id(index: number): ProfileId {
    const found = profiles[index];
    if (found === undefined) throw new Error(`no profile ${index}`);
    return found;
  }

  /** Runs the verification to the end and advances the clock between attempts. */
  async function verify(
    request: VerificationRequest = EVERYTHING,
  ): Promise<{ progress: Progress; mismatches: FoundMismatch[] }> {
    const { clock, database, events } = harness;
    const verifier = new SegmentVerifier({
      clock,
      database,
      metrics: new VerificationMetrics(metrics),
      raw: new RawEventSource(events.caller, clock),
    });
    const mismatches: FoundMismatch[] = [];
    let last: Progress | undefined;
    let isDone = false;
    const running = (async () => {
      for await (const part of verifier.run(request, new AbortController().signal)) {
        if (part.kind === "mismatch") mismatches.push(part.mismatch);
        else last = part.progress;
      }
    })().finally(() => {
      isDone = true;
    });
    await waitFor(async () => {
      if (!isDone) await clock.advance(1000);
      return isDone;
    });
    await running;
    if (last === undefined) throw new Error("no progress");
    return { progress: last, mismatches };
  }

  test("correct data has no mismatch, and every profile is compared", async () => {
    const { progress, mismatches } = await verify();
    expect(mismatches).toEqual([]);
    expect(progress).toEqual({
      known: 12,
      chosen: 12,
      checked: 12,
      memberships: 24,
      capped: 0,
      mismatches: 0,
      inconclusive: 0,
      limited: 0,
      beyondRetention: 0,
    });
    expect(await metrics.text()).toContain("muster_segment_verification_profiles_total 12");
    expect(await metrics.text()).toContain("muster_segment_verification_mismatches_total 0");
    const some = await verify({ ...EVERYTHING, profiles: 5 });
    expect(some.progress).toMatchObject({ known: 12, chosen: 5, checked: 5 });
  });

  test("events that are stored but not yet applied are left out of the comparison", async () => {
    await harness.first.stop();
    const nowMs = harness.clock.nowMs();
    await submit(...profiles.map((_, profile) => ({ profile, name: "cart.added", ms: nowMs })));
    const { progress } = await verify();
    // No process evaluates due profiles any more: profiles that become due during the verification stay
    // inconclusive.
    expect(progress.mismatches).toBe(0);
    expect(progress.checked).toBeGreaterThan(0);
    expect(progress.checked + progress.inconclusive).toBe(12);
  });

  test("finds a wrong list of members, a wrong state and a lost event", async () => {
    const { organizationId, database } = harness;
    const [listed, stated, lost] = [id(1), id(3), id(5)];
    await database.transaction(async (trx) => {
      const key = { organization_id: uuidToBytes(organizationId) };
      await trx("memberships")
        .where({ ...key, profile_id: uuidToBytes(listed) })
        .update({ member: 0 });
      const row = trx("profile_states").where({ ...key, profile_id: uuidToBytes(stated) });
      const { state } = await row.clone().first("state");
      await row.update({ state: JSON.stringify({ ...JSON.parse(state), in: [] }) });
    });
    const shard = shardOf(organizationId, lost);
    const ms = harness.clock.nowMs();
    harness.events.raw.push({
      organizationId,
      profileId: lost,
      shard,
      position: 1,
      name: "order.completed",
      ms,
      receivedMs: ms,
      id: "01900000-0000-7000-8000-000000000009",
    });
    const { progress, mismatches } = await verify();
    const cart = mismatches.filter(({ slug }) => slug === "abandoned-cart");
    const found = new Map(cart.map((mismatch) => [mismatch.profileId, mismatch]));
    expect(found.get(listed)).toMatchObject({
      byEvents: true,
      byFacts: true,
      byState: true,
      byMembers: false,
    });
    expect(found.get(stated)).toMatchObject({
      byEvents: true,
      byFacts: true,
      byState: false,
      byMembers: true,
    });
    expect(found.get(lost)).toMatchObject({
      byEvents: false,
      byFacts: true,
      byState: true,
      byMembers: true,
    });
    expect(found.size).toBe(3);
    expect(progress.mismatches).toBe(mismatches.length);
    const counted = `muster_segment_verification_mismatches_total ${mismatches.length}`;
    expect(await metrics.text()).toContain(counted);
  });
});

describe("a random sample", () => {
  test("chooses all items equally often, and the same items for the same seed", () => {
    const times = new Array<number>(20).fill(0);
    for (let seed = 0; seed < 4000; seed += 1) {
      for (const item of sampleOf(5, seed)) times[item] = (times[item] ?? 0) + 1;
    }
    for (const count of times) expect(Math.abs(count - 1000)).toBeLessThan(150);
    expect(sampleOf(5, 7)).toEqual(sampleOf(5, 7));
    expect(sampleOf(30, 1)).toHaveLength(20);
  });

  function sampleOf(size: number, seed: number): readonly number[] {
    const sample = new RandomSample<number>(size, seed);
    for (let item = 0; item < 20; item += 1) sample.offer(item);
    return sample.chosen;
  }
});
