import { FakeClock } from "@muster/testkit";
import { describe, expect, test } from "vitest";
import { PasswordSlots, SLOT_WAIT_MS_MAX, WAITING_MAX } from "./password-slots.ts";

/** A task that ends when the test ends it. */
class HeldTask {
  isRunning = false;
  #end: () => void = () => {};

  readonly run = (): Promise<void> => {
    this.isRunning = true;
    return new Promise((resolve) => {
      this.#end = resolve;
    });
  };

  async end(): Promise<void> {
    this.isRunning = false;
    this.#end();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const REFUSED = { reason: "UNAVAILABLE", row: { http: 503 }, retryAfterMs: 2_000 };

describe("PasswordSlots", () => {
  test("no more tasks run at once than there are slots, in the order of arrival", async () => {
    const slots = new PasswordSlots({ clock: new FakeClock(), slots: 2 });
    const tasks = Array.from({ length: 5 }, () => new HeldTask());
    const ended = tasks.map((task) => slots.run(task.run));
    const running = () => tasks.map(({ isRunning }) => isRunning);
    expect(running()).toEqual([true, true, false, false, false]);
    await tasks[1]?.end();
    expect(running()).toEqual([true, false, true, false, false]);
    await tasks[0]?.end();
    await tasks[2]?.end();
    expect(running()).toEqual([false, false, false, true, true]);
    await tasks[3]?.end();
    await tasks[4]?.end();
    await Promise.all(ended);
  });

  test("a failed task frees its slot", async () => {
    const slots = new PasswordSlots({ clock: new FakeClock(), slots: 1 });
    await expect(slots.run(() => Promise.reject(new Error("failed")))).rejects.toThrow("failed");
    expect(await slots.run(async () => "next")).toBe("next");
  });

  test("a caller that waits too long is refused, and takes no slot later", async () => {
    const clock = new FakeClock();
    const slots = new PasswordSlots({ clock, slots: 1 });
    const first = new HeldTask();
    const held = slots.run(first.run);
    const late = new HeldTask();
    const refused = expect(slots.run(late.run)).rejects.toMatchObject(REFUSED);
    await clock.advance(SLOT_WAIT_MS_MAX);
    await refused;
    await first.end();
    await held;
    expect(late.isRunning).toBe(false);
    expect(await slots.run(async () => "next")).toBe("next");
    expect(clock.sleeperCount).toBe(0);
  });

  test("callers beyond the limit of waiting ones are refused at once", async () => {
    const clock = new FakeClock();
    const slots = new PasswordSlots({ clock, slots: 1 });
    const first = new HeldTask();
    const held = slots.run(first.run);
    const waiting = Array.from({ length: WAITING_MAX }, () => slots.run(async () => "ran"));
    await expect(slots.run(async () => "never")).rejects.toMatchObject(REFUSED);
    await first.end();
    await held;
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(["ran"]));
  });
});
