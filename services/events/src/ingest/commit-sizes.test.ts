import type { OrganizationId } from "@muster/core";
import { expect, test } from "vitest";
import { COMMIT_TARGET_MS, CommitSizes } from "./commit-sizes.ts";

const costly = "costly" as OrganizationId;
const cheap = "cheap" as OrganizationId;
const sizes = () => new CommitSizes({ initial: 200, min: 10, max: 2000, targetMs: COMMIT_TARGET_MS });

test("sizes approach the rows that fit into the target, within the bounds", () => {
  const known = sizes();
  const commit = (organizationId: OrganizationId, rowMs: number): void => {
    const rows = known.rowsOf(organizationId);
    known.record(new Map([[organizationId, rows]]), 3 + rows * rowMs);
  };
  for (let count = 0; count < 10; count += 1) {
    commit(costly, 1);
    commit(cheap, 0.001);
  }
  expect(known.rowsOf(cheap)).toBe(2000);
  expect(known.rowsOf(costly) + 3).toBeLessThanOrEqual(COMMIT_TARGET_MS);
  expect(known.rowsOf(costly)).toBeGreaterThan(COMMIT_TARGET_MS / 2);
  for (let count = 0; count < 10; count += 1) commit(costly, 100);
  expect(known.rowsOf(costly)).toBe(10);
});

test("a slow transaction of few rows changes no size", () => {
  const known = sizes();
  known.record(new Map([[cheap, 1]]), 5000);
  expect(known.rowsOf(cheap)).toBe(200);
});

test("an organization that shares a slow transaction with many rows of another keeps its size", () => {
  const known = sizes();
  known.record(
    new Map([
      [costly, 200],
      [cheap, 3],
    ]),
    1000,
  );
  expect([known.rowsOf(costly), known.rowsOf(cheap)]).toEqual([10, 200]);
});
