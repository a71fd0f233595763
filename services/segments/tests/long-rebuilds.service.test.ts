// Tests rebuilds of a profile with a long history: messages are applied meanwhile, and no event is lost.
import { type ProfileId, shardOf } from "@muster/core";
import { ENGINES, waitFor } from "@muster/testkit";
import { performed, sequence } from "@muster/testkit/rules";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { expectExactMembers, membersOf, openHarness, type SegmentsHarness } from "./segments-harness.ts";

const HISTORY = 5_200;
/** Many scans of the history take long on a busy machine. */
const WAIT = { timeoutMs: 20_000 };
const TEST = { timeout: 60_000 };

describe.each(ENGINES)("a long rebuild on %s", (engine) => {
  let harness: SegmentsHarness;
  let ada: ProfileId;
  let bo: ProfileId;
  let shard: number;
  let startMs: number;
  /** Resolves when a rebuild has taken a snapshot and is about to read the history. */
  let snapshot: PromiseWithResolvers<void>;
  /** Lets the rebuild continue after the snapshot. */
  let release: PromiseWithResolvers<void>;

  beforeEach(async () => {
    harness = await openHarness(engine);
    const { organizationId, segments, events } = harness;
    ada = harness.newProfile();
    shard = shardOf(organizationId, ada);
    bo = newProfileOfShard();
    startMs = harness.clock.nowMs() - 1_000_000;
    const names = ["a", "x"];
    const offsets = Array.from({ length: HISTORY }, (_, index) => index);
    await events.submit(offsets.map((index) => event(ada, names[index % 2] ?? "a", 1_000 + index * 10)));
    await segments.createSegment({ name: "Ordered", rule: sequence(["b", "a", "x"], "1h") });
    await segments.createSegment({ name: "Paid", eventName: "paid", minCount: 1 });
    expect(await membersOf(segments, "ordered")).toEqual([]);
    expect(await membersOf(segments, "paid")).toEqual([]);
    snapshot = Promise.withResolvers();
    release = Promise.withResolvers();
  });
  afterEach(async () => {
    release.resolve();
    await harness.close();
  });

  function newProfileOfShard(): ProfileId {
    for (;;) {
      const profileId = harness.newProfile();
      if (shardOf(harness.organizationId, profileId) === shard) return profileId;
    }
  }

  function event(profileId: ProfileId, name: string, offsetMs: number) {
    return { organizationId: harness.organizationId, profileId, name, ms: startMs + offsetMs };
  }

  async function submit(...sent: ReturnType<typeof event>[]): Promise<void> {
    await harness.events.submit(sent);
    await applied();
  }

  /** Waits until all messages of the shard are applied. */
  async function applied(): Promise<void> {
    const last = (await harness.events.outbox.positions())[shard];
    await waitFor(async () => {
      const row = await harness.database.reader("shard_cursors").where({ shard }).first("position");
      return Number(row?.position) === last;
    }, WAIT);
  }

  const countMarks = async () => (await harness.database.reader("profile_rebuilds")).length;

  const backfilled = () =>
    waitFor(async () => (await harness.database.reader("segment_backfills")).length === 0, WAIT);

  /** The next rebuild of the history waits between the snapshot and the write. */
  function holdRebuild(): void {
    harness.events.beforeProfile = async (profileId) => {
      if (profileId !== ada) return;
      harness.events.beforeProfile = async () => {};
      snapshot.resolve();
      await release.promise;
    };
  }

  /** A late event marks the profile. */
  async function startRebuild(): Promise<void> {
    await submit(event(ada, "b", 10));
    expect(await countMarks()).toBe(1);
    holdRebuild();
    // The first rebuild of the profile postpones the next one.
    await harness.clock.advance(3_000);
    await snapshot.promise;
  }

  async function finishRebuild(running = harness): Promise<void> {
    release.resolve();
    await waitFor(async () => {
      await harness.clock.advance(50);
      return (await countMarks()) === 0;
    }, WAIT);
    await expectExactMembers(running, "ordered");
    await expectExactMembers(running, "paid");
  }

  test("lets the shard apply messages of other profiles", TEST, async () => {
    await startRebuild();
    await submit(event(bo, "b", 10), event(bo, "a", 20), event(bo, "x", 30));
    const eventual = harness.first.as(harness.organizationId, { "muster-consistency": "eventual" });
    expect(await membersOf(eventual, "ordered")).toEqual([bo]);
    expect(await countMarks()).toBe(1);
    await finishRebuild();
  });

  test("lets a process that has never met the history apply messages", TEST, async () => {
    await submit(event(ada, "b", 10));
    await harness.first.stop();
    expect(await countMarks()).toBe(1);
    holdRebuild();
    const second = await harness.start("second");
    await snapshot.promise;
    await submit(event(bo, "b", 10), event(bo, "a", 20), event(bo, "x", 30));
    expect(await countMarks()).toBe(1);
    await finishRebuild({ ...harness, first: second });
  });

  test("of a backfill lets the shard apply messages", TEST, async () => {
    holdRebuild();
    await harness.segments.createSegment({ name: "Pairs", rule: sequence(["x", "a"], "1h") });
    await snapshot.promise;
    await submit(event(bo, "x", 10), event(bo, "a", 20), event(ada, "paid", 70_000));
    await finishRebuild();
    await expectExactMembers(harness, "pairs");
    expect((await membersOf(harness.segments, "pairs")).sort()).toEqual([ada, bo].sort());
  });

  test("includes events of the profile that were applied after its snapshot", TEST, async () => {
    await startRebuild();
    await submit(event(ada, "paid", 70_000));
    const { scans } = harness.events;
    await finishRebuild();
    expect(await membersOf(harness.segments, "paid")).toEqual([ada]);
    // The messages are added to the states, without another scan.
    expect(harness.events.scans).toBe(scans);
  });

  test("starts again when the identity of the profile changes", TEST, async () => {
    await submit(event(bo, "paid", 20));
    await startRebuild();
    await harness.events.merge(harness.organizationId, bo, ada);
    await applied();
    await finishRebuild();
    expect(await membersOf(harness.segments, "paid")).toEqual([ada]);
  });

  test("starts again when a segment is added", TEST, async () => {
    await submit(event(ada, "seen", 20));
    await startRebuild();
    await harness.segments.createSegment({ name: "Seen", eventName: "seen", minCount: 3 });
    await submit(event(ada, "seen", 30));
    await backfilled();
    await finishRebuild();
    // The facts of the new rule are still in the states.
    await submit(event(ada, "seen", 40));
    await expectExactMembers(harness, "seen");
    expect(await membersOf(harness.segments, "seen")).toEqual([ada]);
  });

  test("starts again when the rule of a segment is changed", TEST, async () => {
    await submit(event(ada, "seen", 20));
    await startRebuild();
    const rule = performed("seen").atLeast(3);
    await harness.segments.updateSegment({ segmentId: "paid", segment: { rule } });
    await submit(event(ada, "seen", 30));
    await backfilled();
    await finishRebuild();
    await submit(event(ada, "seen", 40));
    await expectExactMembers(harness, "paid");
    expect(await membersOf(harness.segments, "paid")).toEqual([ada]);
  });

  test("is done by the next owner when its process ends before the write", TEST, async () => {
    await startRebuild();
    await submit(event(ada, "paid", 70_000));
    await harness.first.stop();
    expect(await countMarks()).toBe(1);
    const second = await harness.start("second");
    await finishRebuild({ ...harness, first: second });
  });
});
