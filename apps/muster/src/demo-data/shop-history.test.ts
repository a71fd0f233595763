import { expect, test } from "vitest";
import { shopHistory } from "./shop-history.ts";

const options = { events: 5_000, seed: 7, shoppers: 250, startMs: Date.UTC(2025, 0, 1), days: 30 };

test("the same seed gives the same history, another seed another", () => {
  const history = [...shopHistory(options)];
  expect([...shopHistory(options)]).toEqual(history);
  expect([...shopHistory({ ...options, seed: 8 })]).not.toEqual(history);
});

test("a history has the requested size and span, is ordered by time, and holds every kind of event", () => {
  const history = [...shopHistory(options)];
  expect(history).toHaveLength(options.events);
  const times = history.map((event) => event.timeMs);
  expect(times).toEqual(times.toSorted((a, b) => a - b));
  const days = ((times.at(-1) ?? 0) - options.startMs) / 86_400_000;
  expect(days).toBeGreaterThan(20);
  expect(days).toBeLessThan(40);
  expect(new Set(history.map((event) => event.name)).size).toBe(4);
});
