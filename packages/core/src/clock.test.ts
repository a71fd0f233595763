// Tests the sleep of the machine's clock, with fake timers of the same overflow as node's.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { systemClock } from "./clock.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test.each([1, 2 ** 31 - 1, 2 ** 31, 9_999_999_999, 3.6e6 * 99_999_999])(
  "a sleep of %i ms ends then",
  async (ms) => {
    let isOver = false;
    void systemClock.sleep(ms).then(() => {
      isOver = true;
    });
    await vi.advanceTimersByTimeAsync(ms - 1);
    expect(isOver).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(isOver).toBe(true);
  },
);

test("a long sleep ends with its signal and leaves no timer", async () => {
  const leaving = new AbortController();
  const sleep = systemClock.sleep(9_999_999_999, leaving.signal);
  await vi.advanceTimersByTimeAsync(5_000_000_000);
  leaving.abort();
  await sleep;
  expect(vi.getTimerCount()).toBe(0);
});
