import type { OrganizationId } from "@muster/core";
import { checkProperty } from "@muster/testkit/check-property";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FairQueue } from "./fair-queue.ts";

const limits = { rowsMax: 10_000, bytesMax: 1_000_000, quantumRows: 500 };
const work = (organization: string, rows: number, bytes = rows) => ({
  organizationId: organization as OrganizationId,
  rows,
  bytes,
});

describe("FairQueue", () => {
  test("many events of one organization do not delay single events of another", () => {
    const queue = new FairQueue(limits);
    for (let index = 0; index < 4; index += 1) queue.offer(work("crowd", 1000));
    for (let index = 0; index < 20; index += 1) queue.offer(work("single", 1));
    const first = queue.take(2000, 1_000_000);
    expect(
      first.filter(({ organizationId }) => organizationId === ("single" as OrganizationId)),
    ).toHaveLength(20);
  });

  test("equal loads get equal rows, whatever the size of their submissions", () => {
    const queue = new FairQueue({ ...limits, rowsMax: 100_000, bytesMax: 1e9 });
    for (let index = 0; index < 20; index += 1) queue.offer(work("large", 1000));
    for (let index = 0; index < 10_000; index += 1) queue.offer(work("small", 1));
    const rows = { large: 0, small: 0 };
    for (let batch = 0; batch < 6; batch += 1) {
      for (const taken of queue.take(2000, 1e9))
        rows[taken.organizationId as string as "large" | "small"] += taken.rows;
    }
    expect(Math.abs(rows.large - rows.small)).toBeLessThanOrEqual(2000);
    expect(rows.large + rows.small).toBeGreaterThan(8000);
  });

  test("refuses work beyond its bounds, and beyond half of them for one organization", () => {
    const queue = new FairQueue({ rowsMax: 100, bytesMax: 1000, quantumRows: 10 });
    expect(queue.offer(work("a", 50))).toBe(true);
    expect(queue.offer(work("a", 1))).toBe(false);
    expect(queue.offer(work("b", 50, 950))).toBe(true);
    expect(queue.offer(work("c", 0, 1))).toBe(false);
    queue.take(1000, 10_000);
    expect(queue.isEmpty).toBe(true);
    expect(queue.rows).toBe(0);
    expect(queue.offer(work("c", 1))).toBe(true);
  });

  test("a submission larger than a transaction is taken without others", () => {
    const queue = new FairQueue({ ...limits, rowsMax: 20_000 });
    queue.offer(work("a", 5000));
    queue.offer(work("a", 1));
    expect(queue.take(2000, 1_000_000).map(({ rows }) => rows)).toEqual([5000]);
    expect(queue.take(2000, 1_000_000).map(({ rows }) => rows)).toEqual([1]);
  });

  test("returns every item once, in order per organization, within the bounds", async () => {
    const offers = fc.array(fc.tuple(fc.constantFrom("a", "b", "c"), fc.integer({ min: 1, max: 900 })), {
      maxLength: 60,
    });
    await checkProperty(
      fc.property(offers, (list) => {
        const queue = new FairQueue({ rowsMax: 1e9, bytesMax: 1e9, quantumRows: 500 });
        const given = list.map(([organization, rows]) => work(organization, rows));
        for (const one of given) queue.offer(one);
        const taken: typeof given = [];
        while (!queue.isEmpty) {
          const batch = queue.take(2000, 1500);
          expect(batch.length).toBeGreaterThan(0);
          if (batch.length > 1)
            expect(batch.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThanOrEqual(1500);
          taken.push(...batch);
        }
        for (const name of ["a", "b", "c"]) {
          const own = (from: typeof given) =>
            from.filter(({ organizationId }) => organizationId === (name as OrganizationId));
          expect(own(taken)).toEqual(own(given));
        }
      }),
    );
  });
});
