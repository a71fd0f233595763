// Tests growth, limit and jitter of waits.
import { describe, expect, test } from "vitest";
import { type BackoffPolicy, backoffMs } from "./backoff.ts";

const POLICY = { minMs: 100, maxMs: 1_500 };
const almostOne = () => 1 - 2 ** -32;

function waits(policy: BackoffPolicy, random?: () => number): number[] {
  return [1, 2, 3, 4, 5, 6].map((failures) => backoffMs(failures, policy, random));
}

describe("backoffMs", () => {
  test("doubles up to the limit", () => {
    expect(waits(POLICY)).toEqual([100, 200, 400, 800, 1_500, 1_500]);
    expect(backoffMs(10_000, POLICY)).toBe(1_500);
  });

  test("adds up to the limit", () => {
    expect(waits({ ...POLICY, maxMs: 450, growth: "add" })).toEqual([100, 200, 300, 400, 450, 450]);
  });

  test("half jitter stays between half and all of the wait", () => {
    const policy = { ...POLICY, jitter: "half" } as const;
    expect(waits(policy, () => 0)).toEqual([50, 100, 200, 400, 750, 750]);
    expect(waits(policy, almostOne)).toEqual([100, 200, 400, 800, 1_500, 1_500]);
    for (let round = 0; round < 200; round += 1) {
      const waitMs = backoffMs(1, { minMs: 7, maxMs: 7, jitter: "half" });
      expect(Number.isInteger(waitMs) && waitMs >= 4 && waitMs <= 7).toBe(true);
    }
  });

  test("full jitter stays between nothing and all of the wait", () => {
    const policy = { ...POLICY, jitter: "full" } as const;
    expect(waits(policy, () => 0)).toEqual([0, 0, 0, 0, 0, 0]);
    expect(waits(policy, () => 0.5)).toEqual([50, 100, 200, 400, 750, 750]);
  });
});
