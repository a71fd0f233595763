// Tests start, readiness and drain of a process with a controlled clock.
import { type Clock, systemClock } from "@muster/core";
import { createLogger } from "@muster/log";
import { describe, expect, test } from "vitest";
import { deriveKey } from "./derive-key.ts";
import { drain } from "./drain.ts";
import type { Worker } from "./module.ts";
import { Readiness } from "./readiness.ts";
import { WorkerGroup } from "./worker-group.ts";

const log = createLogger({ level: "silent" });

/** Sleeps take no time; the test sets the monotonic time. */
class StillClock implements Clock {
  ms = 0;
  nowMs(): number {
    return this.ms;
  }
  monotonicMs(): number {
    return this.ms;
  }
  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    // One turn of the event loop, so that work that finishes at once wins the race against the sleep.
    await new Promise((resolve) => setImmediate(resolve));
    if (signal?.aborted !== true) this.ms += ms;
  }
}

function worker(name: string, story: string[], overrides: Partial<Worker> = {}): Worker {
  return {
    name,
    start: async () => void story.push(`start ${name}`),
    stop: async () => void story.push(`stop ${name}`),
    ...overrides,
  };
}

describe("workers", () => {
  test("start in order and stop in reverse", async () => {
    const story: string[] = [];
    const workers = [worker("outbox", story), worker("relay", story), worker("consumer", story)];
    const group = new WorkerGroup({ workers, clock: new StillClock(), log });
    await group.start();
    await group.stop(1_000);
    expect(story).toEqual([
      "start outbox",
      "start relay",
      "start consumer",
      "stop consumer",
      "stop relay",
      "stop outbox",
    ]);
  });

  test("a worker that fails to start ends the start; started workers are stopped", async () => {
    const story: string[] = [];
    const failing = worker("relay", story, { start: () => Promise.reject(new Error("no")) });
    const workers = [worker("outbox", story), failing, worker("consumer", story)];
    const group = new WorkerGroup({ workers, clock: new StillClock(), log });
    await expect(group.start()).rejects.toThrow("no");
    await group.stop(1_000);
    expect(story).toEqual(["start outbox", "stop relay", "stop outbox"]);
  });

  test("hanging and failing workers do not keep others from stopping", async () => {
    const story: string[] = [];
    const workers = [
      worker("first", story),
      worker("hangs", story, { stop: () => new Promise<void>(() => {}) }),
      worker("fails", story, { stop: () => Promise.reject(new Error("no")) }),
    ];
    const group = new WorkerGroup({ workers, clock: new StillClock(), log });
    await group.start();
    await group.stop(1_000);
    expect(story.at(-1)).toBe("stop first");
  });
});

describe("readiness", () => {
  test("starting, ready, draining", async () => {
    const readiness = new Readiness({ clock: systemClock, databases: new Map() });
    expect(await readiness.check()).toEqual({ isReady: false, reason: "starting" });
    readiness.started();
    expect(await readiness.check()).toEqual({ isReady: true, reason: "ready" });
    readiness.drain();
    readiness.started();
    expect(await readiness.check()).toEqual({ isReady: false, reason: "draining" });
  });

  test("an own database that fails or hangs is named; probes share one look", async () => {
    const clock = new StillClock();
    let pings = 0;
    let ping: () => Promise<void> = async () => {};
    const database = {
      ping: () => {
        pings += 1;
        return ping();
      },
    };
    const readiness = new Readiness({ clock, databases: new Map([["events", database]]) });
    readiness.started();
    await Promise.all([readiness.check(), readiness.check(), readiness.check()]);
    expect(pings).toBe(1);

    ping = () => Promise.reject(new Error("away"));
    expect((await readiness.check()).isReady).toBe(true); // Still the result of the check before.
    clock.ms += 501;
    expect(await readiness.check()).toEqual({
      isReady: false,
      reason: "the database of events does not respond",
    });

    ping = () => new Promise<void>(() => {});
    clock.ms += 501;
    expect((await readiness.check()).isReady).toBe(false);
  });
});

test("drain: probes first, then listeners outermost first, then workers, then what they use", async () => {
  const story: string[] = [];
  const clock = new StillClock();
  const readiness = new Readiness({ clock, databases: new Map() });
  readiness.started();
  const listener = (name: string, failure?: Error) => ({
    name,
    notServing: () => void story.push(`${name} not serving at ${clock.ms}`),
    stop: async () => {
      story.push(`${name} stops at ${clock.ms}`);
      if (failure !== undefined) throw failure;
    },
  });
  const workers = new WorkerGroup({ workers: [worker("relay", story)], clock, log });
  await workers.start();
  await drain({
    clock,
    log,
    readiness,
    listeners: [listener("http", new Error("no")), listener("grpc")],
    workers,
    close: async () => void story.push("closed"),
    delayMs: 5_000,
    timeoutMs: 1_000,
  });
  expect(story).toEqual([
    "start relay",
    "http not serving at 0",
    "grpc not serving at 0",
    "http stops at 5000",
    "grpc stops at 5000",
    "stop relay",
    "closed",
  ]);
  expect((await readiness.check()).reason).toBe("draining");
});

test("keys differ by use and by installation, and are the same everywhere", () => {
  const secret = Buffer.alloc(32, 7);
  const hex = (key: Uint8Array): string => Buffer.from(key).toString("hex");
  expect(deriveKey(secret, "page-tokens")).toHaveLength(32);
  expect(hex(deriveKey(secret, "page-tokens"))).toBe(hex(deriveKey(secret, "page-tokens")));
  expect(hex(deriveKey(secret, "idempotency"))).not.toBe(hex(deriveKey(secret, "page-tokens")));
  expect(hex(deriveKey(Buffer.alloc(32, 8), "page-tokens"))).not.toBe(hex(deriveKey(secret, "page-tokens")));
});
