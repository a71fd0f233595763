// Maintenance by the owner of shards: it deletes rows of exited memberships, and idles at the cost of a query
// a second.
import { ENGINES, waitFor } from "@muster/testkit";
import { afterEach, describe, expect, test } from "vitest";
import { SWEPT_EXITS_MIN } from "../src/memberships/segment-count-store.ts";
import {
  DAY_MS,
  expectExactMembers,
  membersOf,
  openHarness,
  type SegmentsHarness,
} from "./segments-harness.ts";

describe.each(ENGINES)("maintenance on %s", (engine) => {
  let harness: SegmentsHarness;
  afterEach(() => harness.close());

  async function rowsLeft(): Promise<number> {
    const rows = await harness.database.reader("memberships").where("member", 0).count({ rows: "*" });
    return Number(rows[0]?.rows);
  }

  test("exited rows are deleted, members' rows stay, and a profile that returns is a member", async () => {
    harness = await openHarness(engine);
    await harness.segments.createSegment({ name: "Lately", eventName: "viewed", minCount: 1, withinDays: 1 });
    const { organizationId } = harness;
    const view = (profileId: ReturnType<SegmentsHarness["newProfile"]>, ms: number) => ({
      organizationId,
      profileId,
      name: "viewed",
      ms,
    });
    const startMs = harness.clock.nowMs();
    // Enough for a sweep in every shard, and for more than a single step.
    const leaving = Array.from({ length: SWEPT_EXITS_MIN * 20 }, () => harness.newProfile());
    const staying = Array.from({ length: 300 }, () => harness.newProfile());
    await harness.events.submit(leaving.map((id) => view(id, startMs)));
    await harness.events.submit(staying.map((id) => view(id, startMs + DAY_MS / 2)));
    harness.clock.setNowMs(startMs + DAY_MS / 2);
    await expectExactMembers(harness, "lately");
    harness.clock.setNowMs(startMs + DAY_MS);
    expect(await membersOf(harness.segments, "lately")).toEqual([...staying].sort());
    // Events arrive between the steps of the sweep.
    const [back = harness.newProfile()] = leaving;
    await harness.events.submit([view(back, startMs + DAY_MS)]);
    await waitFor(
      async () => {
        await harness.clock.advance(100);
        return (await rowsLeft()) < SWEPT_EXITS_MIN * 16;
      },
      { timeoutMs: 20_000 },
    );
    await waitFor(async () => {
      await harness.clock.advance(100);
      const [row] = await harness.database.reader("segment_counts").max({ exits: "exits" });
      return Number(row?.exits) < SWEPT_EXITS_MIN;
    });
    expect(await rowsLeft()).toBeLessThan(SWEPT_EXITS_MIN * 16);
    await expectExactMembers(harness, "lately");
    expect(await membersOf(harness.segments, "lately")).toContain(back);
    await harness.events.submit(leaving.slice(0, 50).map((id) => view(id, harness.clock.nowMs())));
    await expectExactMembers(harness, "lately");
  }, 60_000);

  test("an idle owner runs a single query a second", async () => {
    harness = await openHarness(engine);
    await harness.segments.createSegment({ name: "Lately", eventName: "viewed", minCount: 1, withinDays: 1 });
    await expectExactMembers(harness, "lately");
    const statements: string[] = [];
    const isSegmentsStatement = /profile_states|segment|memberships|rebuilds/;
    const record = ({ sql }: { sql: string }): void =>
      void (isSegmentsStatement.test(sql) && statements.push(sql));
    harness.database.reader.on("query", record);
    // Pending work ends within three seconds.
    for (let step = 0; step < 30; step += 1) await harness.clock.advance(100);
    await waitFor(() => statements.length > 0);
    const before = statements.length;
    for (let step = 0; step < 100; step += 1) {
      await harness.clock.advance(100);
      await new Promise((resolve) => setImmediate(resolve));
    }
    // The clock may advance before a slow database responds.
    await waitFor(() => statements.length > before);
    harness.database.reader.removeListener("query", record);
    expect(statements.length - before).toBeLessThanOrEqual(12);
  });
});
