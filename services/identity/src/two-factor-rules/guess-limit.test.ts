import { checkProperty } from "@muster/testkit/check-property";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Guesses,
  lockedForMs,
  MAIL_CODE_LIMIT,
  NO_GUESSES,
  SECOND_FACTOR_LIMIT,
  withFailure,
} from "./guess-limit.ts";

const MINUTE_MS = 60_000;

function failAt(timesMs: readonly number[], guesses: Guesses = NO_GUESSES): Guesses {
  return timesMs.reduce((before, timeMs) => withFailure(before, SECOND_FACTOR_LIMIT, timeMs), guesses);
}

describe("ten wrong codes within 15 minutes", () => {
  test("lock for 15 minutes from the tenth", () => {
    const nine = failAt([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(lockedForMs(nine, 9)).toBe(0);
    const ten = failAt([14 * MINUTE_MS], nine);
    expect(lockedForMs(ten, 14 * MINUTE_MS)).toBe(15 * MINUTE_MS);
    expect(lockedForMs(ten, 29 * MINUTE_MS - 1)).toBe(1);
    expect(lockedForMs(ten, 29 * MINUTE_MS)).toBe(0);
  });

  test("start anew after a lock", () => {
    const locked = failAt([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    const afterLock = failAt([16 * MINUTE_MS], locked);
    expect(lockedForMs(afterLock, 16 * MINUTE_MS)).toBe(0);
  });
});

test("the ninth and tenth failure more than 15 minutes apart do not lock", () => {
  const nine = failAt([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  expect(lockedForMs(failAt([8 + 15 * MINUTE_MS], nine), 8 + 15 * MINUTE_MS)).toBe(0);
});

test.each([
  ["second factors: ten within 15 minutes", SECOND_FACTOR_LIMIT, 10, 15 * MINUTE_MS],
  ["mail codes: fifteen within a day", MAIL_CODE_LIMIT, 15, 24 * 60 * MINUTE_MS],
])(
  "no window contains more failures than the limit, and no lock comes earlier: %s",
  async (_, limit, most, windowMs) => {
    const gaps = fc.array(fc.integer({ min: 0, max: Math.floor((4 * windowMs) / most) }), { maxLength: 60 });
    await checkProperty(
      fc.property(gaps, (gapsMs) => {
        let guesses = NO_GUESSES;
        let nowMs = 0;
        const counted: number[] = [];
        for (const gapMs of gapsMs) {
          nowMs += gapMs;
          if (lockedForMs(guesses, nowMs) > 0) continue;
          guesses = withFailure(guesses, limit, nowMs);
          counted.push(nowMs);
          const recent = counted.filter((timeMs) => timeMs > nowMs - windowMs);
          expect(recent.length).toBeLessThanOrEqual(most);
          expect(lockedForMs(guesses, nowMs) > 0).toBe(recent.length === most);
        }
      }),
    );
  },
);
