// Maintenance by the owner of shards: it deletes rows of exited memberships, and idles at the cost of a query
// a second.
import { ENGINES, waitFor } from "@muster/testkit";
import { afterEach, describe, expect, test } from "vitest";
import { SWEPT_EXITS_MIN } from "../src/memberships/left-rows-store.ts";
import { DAY_MS, expectTruth, type House, membersOf, openHouse } from "./house.ts";

describe.each(ENGINES)("maintenance on %s", (engine) => {
  let house: House;
  afterEach(() => house.close());

  async function rowsLeft(): Promise<number> {
    const rows = await house.database.reader("memberships").where("member", 0).count({ rows: "*" });
    return Number(rows[0]?.rows);
  }

  test("exited rows are deleted, members' rows stay, and a profile that returns is a member", async () => {
    house = await openHouse(engine);
    await house.segments.createSegment({ name: "Lately", eventName: "viewed", minCount: 1, withinDays: 1 });
    const { organizationId } = house;
    const view = (profileId: ReturnType<House["newProfile"]>, ms: number) => ({
      ...{ organizationId, profileId, name: "viewed", ms },
    });
    const startMs = house.clock.nowMs();
    // Enough for a sweep in every shard, and for more than a single step.
    const leaving = Array.from({ length: SWEPT_EXITS_MIN * 20 }, () => house.newProfile());
    const staying = Array.from({ length: 300 }, () => house.newProfile());
    await house.events.submit(leaving.map((id) => view(id, startMs)));
    await house.events.submit(staying.map((id) => view(id, startMs + DAY_MS / 2)));
    house.clock.setNowMs(startMs + DAY_MS / 2);
    await expectTruth(house, "lately");
    house.clock.setNowMs(startMs + DAY_MS);
    expect(await membersOf(house.segments, "lately")).toEqual([...staying].sort());
    // Events arrive between the steps of the sweep.
    const [back = house.newProfile()] = leaving;
    await house.events.submit([view(back, startMs + DAY_MS)]);
    await waitFor(
      async () => {
        await house.clock.advance(100);
        return (await rowsLeft()) < SWEPT_EXITS_MIN * 16;
      },
      { timeoutMs: 20_000 },
    );
    await waitFor(async () => {
      await house.clock.advance(100);
      const [row] = await house.database.reader("segment_counts").max({ exits: "exits" });
      return Number(row?.exits) < SWEPT_EXITS_MIN;
    });
    expect(await rowsLeft()).toBeLessThan(SWEPT_EXITS_MIN * 16);
    await expectTruth(house, "lately");
    expect(await membersOf(house.segments, "lately")).toContain(back);
    await house.events.submit(leaving.slice(0, 50).map((id) => view(id, house.clock.nowMs())));
    await expectTruth(house, "lately");
  }, 60_000);

  test("an idle owner runs a single query a second", async () => {
    house = await openHouse(engine);
    await house.segments.createSegment({ name: "Lately", eventName: "viewed", minCount: 1, withinDays: 1 });
    await expectTruth(house, "lately");
    const asked: string[] = [];
    const own = /profile_states|segment|memberships|derivations/;
    const note = ({ sql }: { sql: string }): void => void (own.test(sql) && asked.push(sql));
    house.database.reader.on("query", note);
    // Pending work ends within three seconds.
    for (let step = 0; step < 30; step += 1) await house.clock.advance(100);
    await waitFor(() => asked.length > 0);
    const before = asked.length;
    for (let step = 0; step < 100; step += 1) {
      await house.clock.advance(100);
      await new Promise((resolve) => setImmediate(resolve));
    }
    house.database.reader.removeListener("query", note);
    expect(asked.length - before).toBeLessThanOrEqual(12);
    expect(asked.length - before).toBeGreaterThan(0);
  });
});
