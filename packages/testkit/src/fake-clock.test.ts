import { isUuid } from "@muster/core";
import { expect, test } from "vitest";
import { countingIds } from "./counting-ids.ts";
import { FakeClock } from "./fake-clock.ts";
import { waitFor } from "./wait-for.ts";

test("sleepers wake in the order in which they are due, each at its own instant", async () => {
  const clock = new FakeClock(1000);
  const woken: string[] = [];
  const sleep = async (name: string, ms: number): Promise<void> => {
    await clock.sleep(ms);
    woken.push(`${name} ${clock.nowMs()}`);
  };
  const all = [sleep("c", 30), sleep("a", 10), sleep("b", 20), sleep("a2", 10)];
  await clock.advance(9);
  expect([woken, clock.sleeperCount, clock.nextWakeMs]).toEqual([[], 4, 10]);
  await clock.advance(21);
  await Promise.all(all);
  expect(woken).toEqual(["a 1010", "a2 1010", "b 1020", "c 1030"]);
  expect([clock.nowMs(), clock.monotonicMs(), clock.sleeperCount]).toEqual([1030, 30, 0]);
  expect(clock.nextWakeMs).toBe(Number.POSITIVE_INFINITY);
});

test("a loop that sleeps again runs as often as fits", async () => {
  const clock = new FakeClock(0);
  const stop = new AbortController();
  const ticks: number[] = [];
  const loop = (async () => {
    while (!stop.signal.aborted) {
      ticks.push(clock.nowMs());
      await clock.sleep(100, stop.signal);
    }
  })();
  await clock.advance(350);
  expect(ticks).toEqual([0, 100, 200, 300]);
  stop.abort();
  await loop;
  expect([clock.sleeperCount, clock.nowMs()]).toEqual([0, 350]);
});

test("the wall clock steps alone", async () => {
  const clock = new FakeClock(5000);
  clock.setNowMs(1000);
  await clock.advance(10);
  expect([clock.nowMs(), clock.monotonicMs()]).toEqual([1010, 10]);
});

test("counted ids are UUIDv7 in order, the same every time", () => {
  const ids = countingIds();
  const made = [ids.next(1_700_000_000_000), ids.next(1_700_000_000_000), ids.next(1_700_000_000_001)];
  expect(made).toEqual([
    "018bcfe5-6800-7000-8000-000000000001",
    "018bcfe5-6800-7000-8000-000000000002",
    "018bcfe5-6801-7000-8000-000000000003",
  ]);
  expect(made.every(isUuid)).toBe(true);
});

test("waitFor returns the first result, or names what it awaited", async () => {
  let calls = 0;
  expect(await waitFor(() => (++calls < 3 ? undefined : calls))).toBe(3);
  expect(await waitFor(() => 0)).toBe(0);
  await expect(waitFor(() => false, { timeoutMs: 20, what: "rain" })).rejects.toThrow(
    "20 ms in vain for rain",
  );
});
