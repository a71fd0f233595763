import { checkProperty } from "@muster/testkit/check-property";
import fc from "fast-check";
import { expect, test } from "vitest";
import { admitMail, QUOTA_BYTES_MAX, timesFromBytes, timesToBytes } from "./mail-quota.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const NOW = Date.UTC(2026, 10, 30);

function sendAll(timesMs: readonly number[]): {
  readonly admitted: number[];
  readonly kept: readonly number[];
} {
  let kept: readonly number[] = [];
  const admitted: number[] = [];
  for (const timeMs of timesMs) {
    const next = admitMail(timesFromBytes(timesToBytes(kept)), timeMs);
    if (next === undefined) continue;
    kept = next;
    admitted.push(timeMs);
  }
  return { admitted, kept };
}

test("five mails in an hour, and the sixth when the first is an hour old", () => {
  const times = [0, 1, 2, 3, 4, 5, 59].map((minute) => NOW + minute * MINUTE);
  expect(sendAll(times).admitted.length).toBe(5);
  expect(sendAll([...times, NOW + HOUR - 1]).admitted.length).toBe(5);
  expect(sendAll([...times, NOW + HOUR]).admitted.length).toBe(6);
});

test("twenty mails in a day", () => {
  const times = Array.from({ length: 40 }, (_, index) => NOW + index * 15 * MINUTE);
  expect(sendAll(times).admitted.length).toBe(20);
  expect(sendAll([...times, NOW + DAY - 1]).admitted.length).toBe(20);
  expect(sendAll([...times, NOW + DAY]).admitted.length).toBe(21);
});

test("mails of a process whose clock is a minute ahead count", () => {
  const ahead = Array.from({ length: 5 }, () => NOW + MINUTE);
  expect(sendAll([...ahead, NOW]).admitted.length).toBe(5);
});

test("no hour and no day has too many mails, and the kept times fit their column", async () => {
  const steps = fc.array(fc.integer({ min: -MINUTE, max: 2 * HOUR }), { maxLength: 120 });
  await checkProperty(
    fc.property(steps, (gaps) => {
      let timeMs = NOW;
      const times = gaps.map((gap) => {
        timeMs += Math.max(0, gap);
        return timeMs;
      });
      const { admitted, kept } = sendAll(times);
      for (const endMs of admitted) {
        const within = (ms: number) => admitted.filter((one) => one > endMs - ms && one <= endMs).length;
        expect(within(HOUR)).toBeLessThanOrEqual(5);
        expect(within(DAY)).toBeLessThanOrEqual(20);
      }
      expect(timesToBytes(kept).length).toBeLessThanOrEqual(QUOTA_BYTES_MAX);
    }),
  );
});
