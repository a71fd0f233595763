// Tests outcomes before, at and after the timeout.
import { describe, expect, test } from "vitest";
import { type Clock, systemClock } from "./clock.ts";
import { withTimeout } from "./with-timeout.ts";

/** A clock whose waits end by hand, or by their signal. */
function manualClock() {
  const waits: { ms: number; end: () => void; isAborted: () => boolean }[] = [];
  const clock: Clock = {
    ...systemClock,
    sleep: (ms, signal) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      signal?.addEventListener("abort", () => resolve(), { once: true });
      waits.push({ ms, end: resolve, isAborted: () => signal?.aborted === true });
      return promise;
    },
  };
  return { clock, waits };
}

const fail = (): never => {
  throw new Error("too late");
};

describe("withTimeout", () => {
  test("returns the value in time, and ends its wait", async () => {
    const { clock, waits } = manualClock();
    expect(await withTimeout(clock, 500, Promise.resolve("value"), fail)).toBe("value");
    expect(waits.map(({ ms, isAborted }) => [ms, isAborted()])).toEqual([[500, true]]);
  });

  test("rejects as the promise does in time", async () => {
    const { clock } = manualClock();
    await expect(withTimeout(clock, 500, Promise.reject(new Error("broken")), fail)).rejects.toThrow(
      "broken",
    );
  });

  test("after the timeout returns or throws as onTimeout does, and ignores the promise", async () => {
    const { clock, waits } = manualClock();
    const first = Promise.withResolvers<string>();
    const returned = withTimeout(clock, 500, first.promise, () => undefined);
    const thrown = withTimeout(clock, 500, first.promise, fail);
    for (const wait of waits) wait.end();
    expect(await returned).toBeUndefined();
    await expect(thrown).rejects.toThrow("too late");
    first.reject(new Error("nobody waits any more"));
    await new Promise((resolve) => setImmediate(resolve));
  });

  test("does not call onTimeout in time", async () => {
    let calls = 0;
    await withTimeout(systemClock, 5_000, Promise.resolve(), () => {
      calls += 1;
    });
    expect(calls).toBe(0);
  });
});
