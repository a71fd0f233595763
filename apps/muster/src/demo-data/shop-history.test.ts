import { expect, test } from "vitest";
import { shopHistory, startOfRecentHistory } from "./shop-history.ts";

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

test.each(["2026-03-01T00:00:00.000Z", "2026-03-01T23:59:59.999Z"])(
  "a recent history starts at midnight and ends on the day before %s",
  (now) => {
    const startMs = startOfRecentHistory(options, Date.parse(now));
    expect(startMs % 86_400_000).toBe(0);
    const last = [...shopHistory({ ...options, startMs })].at(-1);
    expect(new Date(last?.timeMs ?? 0).toISOString().slice(0, 10)).toBe("2026-02-28");
  },
);
