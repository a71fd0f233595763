// Tests the thread pool with real threads: chunks, the ends of tasks, turns of organizations, lost threads.
import type { OrganizationId } from "@muster/core";
import { createLogger } from "@muster/log";
import { Metrics } from "@muster/metrics";
import { ThreadPool } from "@muster/runtime";
import { FakeClock, waitFor } from "@muster/testkit";
import { afterEach, describe, expect, test } from "vitest";
import { CRASH, FILL_HEAP, LOOP, REJECT, SPEND, SUM } from "./tasks.ts";

const ONE = "org-one" as OrganizationId;
const TWO = "org-two" as OrganizationId;

const pools: ThreadPool[] = [];

function openPool(threads = 2): { pool: ThreadPool; clock: FakeClock } {
  const clock = new FakeClock();
  const log = createLogger({ level: "silent" });
  const pool = new ThreadPool({ clock, log, metrics: new Metrics(), threads, heapMbMax: 32 });
  pools.push(pool);
  return { pool, clock };
}

afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.close();
});

const never = new AbortController().signal;

function sumOf(pool: ThreadPool, organizationId: OrganizationId, numbers: readonly number[]) {
  return pool.run(SUM, { organizationId, input: 0, signal: never }, async (session) => {
    for (const number of numbers) await session.send([number]);
  });
}

test("a task receives its input and its chunks, and returns its result", async () => {
  const { pool } = openPool();
  const numbers = Array.from({ length: 100 }, (_, index) => index);
  expect(await sumOf(pool, ONE, numbers)).toBe(4950);
});

test("a session is idle when the task has finished its chunks", async () => {
  const { pool } = openPool();
  const run = pool.run(SUM, { organizationId: ONE, input: 0, signal: never }, async (session) => {
    await session.send([1, 2]);
    await session.idle();
    // The next chunk is lost, because the chunks end with the stop.
    session.stop();
  });
  expect(await run).toBe(3);
});

test("a sender waits while the thread is behind", async () => {
  const { pool } = openPool();
  const controller = new AbortController();
  let sent = 0;
  const looping = pool.run(
    LOOP,
    { organizationId: ONE, input: null, signal: controller.signal },
    async (session) => {
      for (;;) {
        await session.send(undefined as never);
        sent += 1;
      }
    },
  );
  await waitFor(() => sent > 0, { what: "a sent chunk" });
  const after = sent;
  await new Promise((resolve) => setImmediate(resolve));
  expect(sent).toBe(after);
  expect(sent).toBeLessThanOrEqual(2);
  controller.abort(new Error("the caller left"));
  await expect(looping).rejects.toThrow("the caller left");
});

test("a caller that leaves at the moment of its turn leaves no task behind", async () => {
  const { pool, clock } = openPool();
  // The signal aborts one to eight microtasks after the task before has ended.
  for (let delay = 0; delay < 8; delay += 1) {
    const controller = new AbortController();
    const before = sumOf(pool, ONE, [1]);
    const late = pool.run(LOOP, { organizationId: ONE, input: null, signal: controller.signal });
    const rejected = expect(late).rejects.toThrow("the caller left");
    await before;
    for (let step = 0; step < delay; step += 1) await Promise.resolve();
    controller.abort(new Error("the caller left"));
    await rejected;
    // A task that had begun loses its thread.
    await clock.advance(1_000);
    await waitFor(() => pool.running === 0, { what: "a free thread" });
  }
});

test("an AppError of the task keeps its reason and details", async () => {
  const { pool } = openPool();
  const run = pool.run(REJECT, { organizationId: ONE, input: "7", signal: never });
  await expect(run).rejects.toMatchObject({
    reason: "SEGMENT_LIMIT_REACHED",
    message: "too many",
    details: { limit: "7" },
  });
});

test("an error of the sender ends the task", async () => {
  const { pool } = openPool();
  const run = pool.run(SUM, { organizationId: ONE, input: 0, signal: never }, async () => {
    throw new Error("the page could not be read");
  });
  await expect(run).rejects.toThrow("the page could not be read");
  expect(await sumOf(pool, ONE, [1])).toBe(1);
});

describe("ends", () => {
  test("a task that spends more than its limit is rejected", async () => {
    const { pool } = openPool();
    const run = pool.run(SPEND, { organizationId: ONE, input: { unitsMax: 100 }, signal: never });
    await expect(run).rejects.toMatchObject({ reason: "WORK_LIMIT_REACHED" });
  });

  test("a synchronous task ends in the middle when its caller leaves", async () => {
    const { pool } = openPool();
    const controller = new AbortController();
    const run = pool.run(SPEND, { organizationId: ONE, input: {}, signal: controller.signal }, async () => {
      controller.abort(new Error("the caller left"));
    });
    await expect(run).rejects.toThrow("the caller left");
    // No time passes on the pool's clock, so the task has ended by itself.
    await waitFor(() => pool.running === 0, { what: "a free thread" });
  });

  test("a stopped task returns what it has", async () => {
    const { pool } = openPool();
    const run = pool.run(SPEND, { organizationId: ONE, input: {}, signal: never }, async (session) =>
      session.stop(),
    );
    expect(await run).toBeGreaterThan(0);
  });

  test("closing the pool ends running and waiting tasks", async () => {
    const { pool } = openPool();
    let started = (): void => {};
    const isStarted = new Promise<void>((resolve) => {
      started = resolve;
    });
    const running = pool.run(LOOP, { organizationId: ONE, input: null, signal: never }, async () =>
      started(),
    );
    const waiting = pool.run(LOOP, { organizationId: ONE, input: null, signal: never });
    const ends = [running, waiting].map((run) =>
      expect(run).rejects.toMatchObject({ reason: "UNAVAILABLE" }),
    );
    await isStarted;
    await pool.close();
    await Promise.all(ends);
  });
});

describe("lost threads", () => {
  test("a task that never returns loses its thread a second after its caller left", async () => {
    const { pool, clock } = openPool(1);
    const controller = new AbortController();
    const run = pool.run(LOOP, { organizationId: ONE, input: null, signal: controller.signal }, async () => {
      controller.abort(new Error("the caller left"));
    });
    await expect(run).rejects.toThrow("the caller left");
    const next = sumOf(pool, TWO, [1, 2]);
    expect(pool.running).toBe(1);
    expect(pool.waiting).toBe(1);
    await clock.advance(1_000);
    expect(await next).toBe(3);
  });

  test("a stopped task that never returns is rejected after a second", async () => {
    const { pool, clock } = openPool(1);
    const run = pool.run(LOOP, { organizationId: ONE, input: null, signal: never }, async (session) =>
      session.stop(),
    );
    const rejected = expect(run).rejects.toMatchObject({ reason: "WORK_LIMIT_REACHED" });
    await waitFor(() => clock.sleeperCount > 0, { what: "the stop" });
    await clock.advance(1_000);
    await rejected;
  });

  test("a task that fills the heap fails alone", async () => {
    const { pool } = openPool(1);
    const run = pool.run(FILL_HEAP, { organizationId: ONE, input: null, signal: never });
    await expect(run).rejects.toMatchObject({ reason: "WORK_LIMIT_REACHED" });
    expect(await sumOf(pool, ONE, [1])).toBe(1);
  });

  test("a crash of a thread fails its task alone", async () => {
    const { pool } = openPool();
    const beside = sumOf(pool, TWO, [1, 2]);
    const run = pool.run(CRASH, { organizationId: ONE, input: null, signal: never });
    await expect(run).rejects.toThrow("a defect");
    expect(await beside).toBe(3);
    expect(await sumOf(pool, ONE, [1])).toBe(1);
  });
});
