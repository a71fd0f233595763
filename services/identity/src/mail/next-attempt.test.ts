import { expect, test } from "vitest";
import { ATTEMPTS_MAX, nextAttemptMs } from "./next-attempt.ts";

const SECOND = 1_000;
const NEVER = Number.POSITIVE_INFINITY;

test("waits double from half a minute to an hour", () => {
  const waits = [1, 2, 3, 7, 8, 19].map((attempts) => (nextAttemptMs(attempts, 0, NEVER) ?? 0) / SECOND);
  expect(waits).toEqual([30, 60, 120, 1920, 3600, 3600]);
});

test("the last attempt, and a mail that would be useless by then, have no next attempt", () => {
  expect(nextAttemptMs(ATTEMPTS_MAX - 1, 0, NEVER)).toBeDefined();
  expect(nextAttemptMs(ATTEMPTS_MAX, 0, NEVER)).toBeUndefined();
  expect(nextAttemptMs(1, 0, 30 * SECOND)).toBeUndefined();
  expect(nextAttemptMs(1, 0, 30 * SECOND + 1)).toBe(30 * SECOND);
});
