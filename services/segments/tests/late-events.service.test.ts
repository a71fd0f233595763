// Late events of a profile with a long history share rebuilds, and reads wait for these rebuilds.
import { type ProfileId, shardOf } from "@muster/core";
import { ENGINES, waitFor } from "@muster/testkit";
import { sequence } from "@muster/testkit/rules";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { expectExactMembers, membersOf, openHarness, type SegmentsHarness } from "./segments-harness.ts";

const HISTORY = 5_200;
const LATE = 20;

describe.each(ENGINES)("late events on %s", (engine) => {
  let harness: SegmentsHarness;
  let ada: ProfileId;
  let startMs: number;
  beforeEach(async () => {
    harness = await openHarness(engine);
    ada = harness.newProfile();
    startMs = harness.clock.nowMs() - 1_000_000;
    const { organizationId, segments } = harness;
    const names = ["a", "x"];
    const history = Array.from({ length: HISTORY }, (_, index) => ({
      organizationId,
      profileId: ada,
      name: names[index % 2] ?? "a",
      ms: startMs + 1_000 + index * 10,
    }));
    await harness.events.submit(history);
    await segments.createSegment({ name: "Ordered", rule: sequence(["b", "a", "x"], "1h") });
    expect(await membersOf(segments, "ordered")).toEqual([]);
  });
  afterEach(() => harness.close());

  /** Submits a late event and waits until it is applied. */
  async function submitLate(name: string, offsetMs: number): Promise<void> {
    const { organizationId } = harness;
    await harness.events.submit([{ organizationId, profileId: ada, name, ms: startMs + offsetMs }]);
    const shard = shardOf(organizationId, ada);
    await waitFor(async () => {
      const row = await harness.database.reader("shard_cursors").where({ shard }).first("position");
      return Number(row?.position) >= (harness.events.raw.at(-1)?.position ?? 0);
    });
  }

  const isMarked = async () =>
    (await harness.database.reader("profile_rebuilds").first("profile_id")) !== undefined;

  test("share a rebuild, and a read that follows them includes them all", { timeout: 60_000 }, async () => {
    const scansBefore = harness.events.scans;
    for (let index = 0; index < LATE; index += 1) await submitLate(index % 2 === 0 ? "b" : "x", 10 + index);
    expect(await isMarked()).toBe(true);
    let isRead = false;
    const read = membersOf(harness.segments, "ordered").finally(() => {
      isRead = true;
    });
    // The clock has not moved, so the rebuild has not started, and the read waits.
    expect(harness.events.scans).toBe(scansBefore);
    await waitFor(
      async () => {
        if (!isRead) await harness.clock.advance(50);
        return isRead;
      },
      { timeoutMs: 20_000 },
    );
    await read;
    // A step that meets the history, and the long rebuild.
    expect(harness.events.scans).toBe(scansBefore + 2);
    expect(await isMarked()).toBe(false);
    await expectExactMembers(harness, "ordered");
  });

  test("of a profile with a short history are rebuilt at once", async () => {
    const { organizationId } = harness;
    const bo = harness.newProfile();
    const eventsOf = (name: string, offsets: readonly number[]) =>
      offsets.map((ms) => ({ organizationId, profileId: bo, name, ms: startMs + ms }));
    await harness.events.submit(
      eventsOf(
        "a",
        Array.from({ length: 40 }, (_, index) => 1_000 + index),
      ),
    );
    await harness.events.submit([...eventsOf("b", [10, 2_000]), ...eventsOf("x", [3_000])]);
    expect(await membersOf(harness.segments, "ordered")).toEqual([bo]);
  });
});
