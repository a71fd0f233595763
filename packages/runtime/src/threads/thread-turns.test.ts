// Tests the order in which tasks of several organizations run.
import type { OrganizationId } from "@muster/core";
import { expect, test } from "vitest";
import { type EndTurn, ThreadTurns } from "./thread-turns.ts";

const LIMITS = { threads: 2, longTasksMax: 1, waitingMax: 4, waitingPerOrganizationMax: 2 };

/** Records the names of the tasks that have started. */
class Tasks {
  readonly started: string[] = [];
  readonly turns = new ThreadTurns(LIMITS);
  readonly #ends = new Map<string, EndTurn>();

  take(name: string, organization: string, isShort = true, signal = new AbortController().signal) {
    const taken = this.turns.take({ organizationId: organization as OrganizationId, isShort, signal });
    return taken.then((end) => {
      this.started.push(name);
      this.#ends.set(name, end);
    });
  }

  async end(name: string): Promise<void> {
    this.#ends.get(name)?.();
    await settled();
  }
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("the second task of an organization waits while the task of another organization runs", async () => {
  const tasks = new Tasks();
  await tasks.take("one-1", "one");
  void tasks.take("one-2", "one");
  await tasks.take("two-1", "two");
  await settled();
  expect(tasks.started).toEqual(["one-1", "two-1"]);
  expect(tasks.turns.waiting).toBe(1);
  await tasks.end("two-1");
  expect(tasks.started).toEqual(["one-1", "two-1"]);
  await tasks.end("one-1");
  expect(tasks.started).toEqual(["one-1", "two-1", "one-2"]);
});

test("long tasks leave a thread to short ones, which go first", async () => {
  const tasks = new Tasks();
  await tasks.take("long-1", "one", false);
  void tasks.take("long-2", "two", false);
  await tasks.take("short-1", "three");
  void tasks.take("short-2", "four");
  await tasks.end("long-1");
  expect(tasks.started).toEqual(["long-1", "short-1", "short-2"]);
  await tasks.end("short-1");
  expect(tasks.started.at(-1)).toBe("long-2");
});

test("an organization cannot use up the queue", async () => {
  const tasks = new Tasks();
  await tasks.take("one-1", "one");
  void tasks.take("one-2", "one");
  void tasks.take("one-3", "one");
  await expect(tasks.take("one-4", "one")).rejects.toMatchObject({
    reason: "OVERLOADED",
    retryAfterMs: 1_000,
  });
  await tasks.take("two-1", "two");
  void tasks.take("two-2", "two");
  void tasks.take("three-1", "three");
  await expect(tasks.take("four-1", "four")).rejects.toMatchObject({ reason: "OVERLOADED" });
});

test("a waiting task leaves the queue when its caller leaves", async () => {
  const tasks = new Tasks();
  const controller = new AbortController();
  await tasks.take("one-1", "one");
  const waiting = tasks.take("one-2", "one", true, controller.signal);
  controller.abort(new Error("the caller left"));
  await expect(waiting).rejects.toThrow("the caller left");
  expect(tasks.turns.waiting).toBe(0);
  await tasks.end("one-1");
  expect(tasks.turns.running).toBe(0);
});

test("a turn ends once", async () => {
  const turns = new ThreadTurns(LIMITS);
  const signal = new AbortController().signal;
  const end = await turns.take({ organizationId: "one" as OrganizationId, isShort: true, signal });
  end();
  end();
  expect(turns.running).toBe(0);
});
