// Two and three replicas on MariaDB and a broker: shards move when a replica joins, stops or crashes, while
// events arrive and segments change. Every result is exact.
import { randomBytes } from "node:crypto";
import { JetStreamBus } from "@muster/bus/jetstream";
import { SegmentState } from "@muster/contracts/muster/segments/v1/segment_pb";
import { type ProfileId, systemClock } from "@muster/core";
import { removeStreams, testNatsUrl, waitFor } from "@muster/testkit";
import { inSegment } from "@muster/testkit/rules";
import { afterEach, expect, test } from "vitest";
import { expectExactMembers, openHarness, type Replica, type SegmentsHarness } from "./segments-harness.ts";

const NAMES = ["viewed", "bought", "shared"];
const namespace = `t${randomBytes(6).toString("hex")}`;
let harness: SegmentsHarness;

afterEach(async () => {
  await harness.close();
  await removeStreams(namespace);
});

function open(): Promise<SegmentsHarness> {
  return openHarness("mysql", {
    exclusive: false,
    newBus: async (_clock, log) =>
      JetStreamBus.connect({
        servers: [await testNatsUrl()],
        name: "segments-test",
        namespace,
        clock: systemClock,
        log,
      }),
  });
}

test("members stay exact through events, edits, a joining replica and a killed replica", async () => {
  harness = await open();
  const { organizationId } = harness;
  const people: ProfileId[] = Array.from({ length: 120 }, () => harness.newProfile());
  for (const id of people) harness.events.addProfile(organizationId, id);
  let isDone = false;
  // Faster than the real clock, so that leases end soon.
  const ticking = (async () => {
    for (; !isDone; await new Promise((resolve) => setTimeout(resolve, 5))) await harness.clock.advance(15);
  })();
  const submit = (round: number) =>
    harness.events.submit(
      Array.from({ length: 60 }, (_, index) => ({
        organizationId,
        profileId: people[(index * 7 + round * 13) % people.length] ?? harness.newProfile(),
        name: NAMES[(index + round) % NAMES.length] ?? "",
        ms: harness.clock.nowMs() - ((index * 7919) % 5000),
      })),
    );
  let isPaused = false;
  let submitted = Promise.resolve();
  const submitting = (async () => {
    for (let round = 0; !isDone; round += 1) {
      if (!isPaused) submitted = submit(round);
      await submitted;
      await new Promise((resolve) => setTimeout(resolve, 40));
    }
  })();
  let alive: Replica = harness.first;
  const through = (): SegmentsHarness => ({ ...harness, first: alive, segments: alive.as(organizationId) });
  /** Compares all acknowledged events, whatever replica owns each shard. */
  const expectTruthNow = async (...slugs: string[]): Promise<void> => {
    isPaused = true;
    await submitted;
    for (const slug of slugs) await expectExactMembers(through(), slug);
    isPaused = false;
  };
  const edit = (segmentId: string, eventName: string, minCount: number) =>
    through().segments.updateSegment({ segmentId, segment: { eventName, minCount } });
  try {
    await through().segments.createSegment({ name: "Viewers", eventName: "viewed", minCount: 2 });
    await through().segments.createSegment({ name: "Among them", rule: inSegment("viewers") });
    await through().segments.createSegment({
      name: "Lately",
      eventName: "bought",
      minCount: 1,
      withinDays: 1,
    });
    await edit("viewers", "bought", 3);
    const second = await harness.start("second", false);
    await expectTruthNow("viewers", "among-them");
    await edit("lately", "viewed", 4);
    await edit("viewers", "shared", 2);
    await harness.first.kill();
    alive = second;
    await expectTruthNow("lately", "abandoned-cart");
    await edit("lately", "shared", 5);
    await harness.start("third", false);
    const eventual = alive.as(organizationId, { "muster-consistency": "eventual" });
    await waitFor(
      async () => {
        const { segments } = await eventual.listSegments({});
        return segments.every(({ state }) => state === SegmentState.LIVE);
      },
      { timeoutMs: 40_000 },
    );
    isDone = true;
    await submitting;
    await submit(1_000);
  } finally {
    isDone = true;
    await Promise.all([ticking, submitting]);
  }
  // The clock runs while replicas wait for each other, and stands still during each comparison.
  let isCompared = false;
  const nudging = (async () => {
    for (; !isCompared; await new Promise((resolve) => setTimeout(resolve, 5)))
      await harness.clock.advance(5);
  })();
  try {
    for (const slug of ["viewers", "among-them", "lately", "abandoned-cart"]) {
      await expectExactMembers(through(), slug);
    }
    const { segments } = await through().segments.listSegments({});
    expect(segments.map(({ version }) => version)).toEqual([1, 3, 1, 3]);
  } finally {
    isCompared = true;
    await nudging;
  }
}, 90_000);
