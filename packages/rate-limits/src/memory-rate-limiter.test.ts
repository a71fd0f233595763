import { RateClass } from "@muster/contracts/muster/options/v1/options_pb";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { MemoryRateLimiter } from "./memory-rate-limiter.ts";

const { PUBLIC, CREDENTIAL, READ } = RateClass;
const limits = new Map([
  [PUBLIC, { requestsMax: 3, windowSeconds: 60 }],
  [CREDENTIAL, { requestsMax: 1, windowSeconds: 60 }],
]);

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date", "setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.useRealTimers();
});

test("allows as many requests as the limit in a window, then again in the next", async () => {
  const limiter = new MemoryRateLimiter({ limits });
  for (let request = 0; request < 3; request += 1) expect(await limiter.take(PUBLIC, "a")).toBe(0);
  expect(await limiter.take(PUBLIC, "a")).toBe(60_000);
  vi.advanceTimersByTime(59_000);
  expect(await limiter.take(PUBLIC, "a")).toBe(1_000);
  vi.advanceTimersByTime(1_000);
  expect(await limiter.take(PUBLIC, "a")).toBe(0);
});

test("counts classes and clients apart", async () => {
  const limiter = new MemoryRateLimiter({ limits });
  expect(await limiter.take(CREDENTIAL, "a")).toBe(0);
  expect(await limiter.take(CREDENTIAL, "a")).toBeGreaterThan(0);
  expect(await limiter.take(CREDENTIAL, "b")).toBe(0);
  expect(await limiter.take(PUBLIC, "a")).toBe(0);
});

test("does not limit a class without a limit", async () => {
  const limiter = new MemoryRateLimiter({ limits });
  for (let request = 0; request < 100; request += 1) expect(await limiter.take(READ, "a")).toBe(0);
});

test("requests at the same time are all counted", async () => {
  const limiter = new MemoryRateLimiter({ limits });
  const waits = await Promise.all(Array.from({ length: 20 }, () => limiter.take(PUBLIC, "a")));
  expect(waits.filter((wait) => wait === 0)).toHaveLength(3);
});

test("forgets the client that called longest ago when there are too many", async () => {
  const limiter = new MemoryRateLimiter({ limits, clientsMax: 2 });
  expect(await limiter.take(CREDENTIAL, "a")).toBe(0);
  expect(await limiter.take(CREDENTIAL, "b")).toBe(0);
  expect(await limiter.take(CREDENTIAL, "a")).toBeGreaterThan(0);
  expect(await limiter.take(CREDENTIAL, "c")).toBe(0);
  expect(await limiter.take(CREDENTIAL, "a")).toBeGreaterThan(0);
  expect(await limiter.take(CREDENTIAL, "b")).toBe(0);
  expect(vi.getTimerCount()).toBe(2);
});
