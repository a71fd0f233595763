import { isUuid, randomIds } from "@muster/core";
import { expect, test } from "vitest";
import { MonotonicIds } from "./monotonic-ids.ts";

test("ids increase within a millisecond, beyond the counter, and after the clock is set back", () => {
  const ids = new MonotonicIds(randomIds);
  const made = [1000, 1000, 1001, 900, ...Array.from({ length: 10_000 }, () => 1001), 2000].map((ms) =>
    ids.next(ms),
  );
  expect(made.every(isUuid)).toBe(true);
  expect([...made].sort()).toEqual(made);
  expect(new Set(made).size).toBe(made.length);
});
