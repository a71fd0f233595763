// Tests that tasks beyond the limit are rejected, and that each end makes room.
import { expect, test } from "vitest";
import { ConcurrencyLimit } from "./concurrency-limit.ts";

test("rejects beyond the limit, and runs again after an end of any kind", async () => {
  const limit = new ConcurrencyLimit({ max: 2, retryAfterMs: 1_000 });
  const [first, second] = [Promise.withResolvers<string>(), Promise.withResolvers<string>()];
  const running = [limit.run(() => first.promise), limit.run(() => second.promise)];
  let calls = 0;
  const another = () =>
    limit.run(async () => {
      calls += 1;
      return calls;
    });
  await expect(another()).rejects.toMatchObject({ reason: "OVERLOADED", retryAfterMs: 1_000 });
  expect([calls, limit.running]).toEqual([0, 2]);

  first.resolve("done");
  expect(await running[0]).toBe("done");
  expect(await another()).toBe(1);
  second.reject(new Error("broken"));
  await expect(running[1]).rejects.toThrow("broken");
  expect(limit.running).toBe(0);
  expect(await another()).toBe(2);
});
