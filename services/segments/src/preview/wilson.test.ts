// Tests that the error bound holds as often as it claims.
import { SeededRandom } from "@muster/core";
import { expect, test } from "vitest";
import { estimateCount } from "./wilson.ts";

test.each([
  { total: 10_000, members: 5000, sampled: 400 },
  { total: 10_000, members: 300, sampled: 400 },
  { total: 10_000, members: 9900, sampled: 400 },
  { total: 100_000, members: 10, sampled: 1000 },
  { total: 300, members: 60, sampled: 200 },
])("$members of $total, $sampled sampled: within the bound 19 times of 20", ({ total, members, sampled }) => {
  const random = new SeededRandom(total + members);
  let within = 0;
  for (let round = 0; round < 1000; round += 1) {
    let [holding, left, membersLeft] = [0, total, members];
    for (let drawn = 0; drawn < sampled; drawn += 1) {
      if (random.chance(membersLeft / left)) {
        holding += 1;
        membersLeft -= 1;
      }
      left -= 1;
    }
    const { count, errorBound } = estimateCount(holding, sampled, total);
    if (Math.abs(count - members) <= errorBound) within += 1;
  }
  // Of 1,000 rounds 950 are expected; 21 fewer is three standard deviations.
  expect(within).toBeGreaterThanOrEqual(929);
});

test("a full sample is exact, an empty sample bounds nothing, and no match does not prove zero", () => {
  expect(estimateCount(7, 20, 20)).toEqual({ count: 7, errorBound: 0 });
  expect(estimateCount(0, 0, 20)).toEqual({ count: 0, errorBound: 20 });
  const { count, errorBound } = estimateCount(0, 100, 10_000);
  expect(count).toBe(0);
  expect(errorBound).toBeGreaterThan(300);
  // The members and non-members in the sample limit the bound too.
  expect(estimateCount(1, 9, 10).errorBound).toBeLessThanOrEqual(1);
});
