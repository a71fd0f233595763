import type { OrganizationId } from "@muster/core";
import { checkProperty } from "@muster/testkit/check-property";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FairQueue, type QueuedWork, type Taken } from "./fair-queue.ts";

/** One row takes 0.1 ms, and an organization 500 rows at each turn. */
const limits = {
  rowsMax: 10_000,
  bytesMax: 1_000_000,
  quantumMs: 50,
  isDivisible: true,
  rowMs: () => 0.1,
};
const bounds = { rows: 2000, bytes: 1_000_000, ms: 1000 };

class Work implements QueuedWork {
  readonly organizationId: OrganizationId;
  readonly rowBytes: readonly number[];
  taken = 0;

  constructor(organization: string, rowBytes: readonly number[]) {
    this.organizationId = organization as OrganizationId;
    this.rowBytes = rowBytes;
  }

  get rows(): number {
    return this.rowBytes.length - this.taken;
  }

  get bytes(): number {
    return this.rowBytes.slice(this.taken).reduce((sum, bytes) => sum + bytes, 0);
  }

  bytesOf(row: number): number {
    return this.rowBytes[this.taken + row] ?? 0;
  }

  takeRows(rows: number): void {
    this.taken += rows;
  }
}

const work = (organization: string, rows: number, rowBytes = 1): Work =>
  new Work(
    organization,
    Array.from({ length: rows }, () => rowBytes),
  );
const rowsOf = (organization: string, taken: readonly Taken<Work>[]): number =>
  taken
    .filter(({ work }) => work.organizationId === (organization as OrganizationId))
    .reduce((sum, { rows }) => sum + rows, 0);

describe("FairQueue", () => {
  test("many events of one organization do not delay single events of another", () => {
    const queue = new FairQueue<Work>(limits);
    for (let index = 0; index < 4; index += 1) queue.offer(work("crowd", 1000));
    for (let index = 0; index < 20; index += 1) queue.offer(work("single", 1));
    expect(rowsOf("single", queue.take(bounds))).toBe(20);
  });

  test("equal loads get equal rows, whatever the size of their submissions", () => {
    const queue = new FairQueue<Work>({ ...limits, rowsMax: 100_000 });
    for (let index = 0; index < 20; index += 1) queue.offer(work("large", 1000));
    for (let index = 0; index < 10_000; index += 1) queue.offer(work("small", 1));
    const rows = { large: 0, small: 0 };
    for (let batch = 0; batch < 6; batch += 1) {
      const taken = queue.take(bounds);
      rows.large += rowsOf("large", taken);
      rows.small += rowsOf("small", taken);
    }
    expect(Math.abs(rows.large - rows.small)).toBeLessThanOrEqual(2000);
    expect(rows.large + rows.small).toBe(12_000);
  });

  test("costly events get as much time as others, not as many rows", () => {
    const rowMs = (organizationId: OrganizationId): number =>
      String(organizationId) === "costly" ? 1 : 0.01;
    const queue = new FairQueue<Work>({ ...limits, quantumMs: 10, rowMs });
    queue.offer(work("costly", 1000));
    for (let index = 0; index < 1000; index += 1) queue.offer(work("cheap", 1));
    const taken = queue.take({ ...bounds, ms: 40 });
    expect(rowsOf("cheap", taken)).toBe(1000);
    expect(rowsOf("costly", taken)).toBeLessThanOrEqual(30);
    expect(rowsOf("costly", queue.take({ ...bounds, ms: 40 }))).toBe(40);
  });

  test("a submission of more than one transaction is taken in parts, in order", () => {
    const queue = new FairQueue<Work>(limits);
    const large = work("a", 4500);
    queue.offer(large);
    queue.offer(work("a", 1));
    const rows = () => queue.take(bounds).map((taken) => [taken.work === large, taken.rows]);
    expect([rows(), rows(), rows()]).toEqual([
      [[true, 2000]],
      [[true, 2000]],
      [
        [true, 500],
        [false, 1],
      ],
    ]);
    expect(queue.isEmpty).toBe(true);
  });

  test("the rest of a submission can be dropped", () => {
    const queue = new FairQueue<Work>(limits);
    const large = work("a", 3000);
    queue.offer(large);
    queue.take(bounds);
    queue.drop(large);
    queue.drop(large);
    expect([queue.isEmpty, queue.rows]).toEqual([true, 0]);
  });

  test("a queue of whole items takes one item at a time, however large", () => {
    const queue = new FairQueue<Work>({ ...limits, isDivisible: false, quantumMs: 1 });
    queue.offer(work("a", 50));
    queue.offer(work("b", 20));
    queue.offer(work("a", 50));
    const rows = () => queue.take({ rows: 0, bytes: 0, ms: 0 }).map((taken) => taken.rows);
    expect([rows(), rows(), rows()]).toEqual([[20], [50], [50]]);
  });

  test("refuses work beyond its bounds, and beyond half of them for one organization", () => {
    const queue = new FairQueue<Work>({ ...limits, rowsMax: 100, bytesMax: 1000 });
    expect(queue.offer(work("a", 50))).toBe(true);
    expect(queue.offer(work("a", 1))).toBe(false);
    expect(queue.offer(work("b", 50, 19))).toBe(true);
    expect(queue.offer(work("c", 1))).toBe(false);
    queue.take(bounds);
    expect(queue.isEmpty).toBe(true);
    expect(queue.rows).toBe(0);
    expect(queue.offer(work("c", 1))).toBe(true);
  });

  test("returns every row once, in order per organization, within the bounds", async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 90 });
    const offers = fc.array(fc.tuple(fc.constantFrom("a", "b", "c"), sizes), { maxLength: 40 });
    await checkProperty(
      fc.property(offers, fc.double({ min: 0.01, max: 20, noNaN: true }), (list, slowMs) => {
        const rowMs = (organizationId: OrganizationId): number =>
          String(organizationId) === "a" ? slowMs : 0.1;
        const queue = new FairQueue<Work>({ ...limits, quantumMs: 2, rowsMax: 1e9, bytesMax: 1e9, rowMs });
        const given = list.map(([organization, rowBytes]) => new Work(organization, rowBytes));
        for (const one of given) queue.offer(one);
        const taken: Taken<Work>[] = [];
        const most = { rows: 60, bytes: 1500, ms: 8 };
        while (!queue.isEmpty) {
          const starts = new Map(given.map((one) => [one, one.taken]));
          const batch = queue.take(most);
          let [rows, bytes, ms] = [0, 0, 0];
          for (const part of batch) {
            const start = starts.get(part.work) ?? 0;
            rows += part.rows;
            ms += part.rows * rowMs(part.work.organizationId);
            for (const own of part.work.rowBytes.slice(start, start + part.rows)) bytes += own;
          }
          expect(rows).toBeGreaterThan(0);
          expect(rows).toBeLessThanOrEqual(most.rows);
          expect(bytes).toBeLessThanOrEqual(most.bytes);
          if (rows > 1) expect(ms).toBeLessThanOrEqual(most.ms + 1e-6);
          taken.push(...batch);
        }
        for (const one of given) expect(one.rows).toBe(0);
        for (const name of ["a", "b", "c"]) {
          const own = (from: readonly Work[]) =>
            from.filter(({ organizationId }) => String(organizationId) === name);
          expect([...new Set(own(taken.map(({ work }) => work)))]).toEqual(own(given));
        }
      }),
    );
  });
});
