import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { systemClock } from "./clock.ts";
import { WorkBudget } from "./work-budget.ts";

const spent = (): Error => new Error("spent");

/** Spends units until the budget ends the loop; each unit burns about a microsecond. */
async function work(budget: WorkBudget): Promise<void> {
  for (;;) {
    for (let i = 0; i < 300; i += 1) Math.sqrt(i);
    budget.spend(1);
    if (budget.isSliceOver) await budget.turn();
  }
}

test("spending more than the budget throws the error of the task", () => {
  const budget = new WorkBudget({ clock: systemClock, maxUnits: 10, onSpent: spent });
  budget.spend(10);
  expect(budget.spentUnits).toBe(10);
  expect(() => budget.spend(1)).toThrow("spent");
});

test("an endless task lets timers run and ends when its signal aborts", async () => {
  const controller = new AbortController();
  const budget = new WorkBudget({
    clock: systemClock,
    maxUnits: Infinity,
    onSpent: spent,
    signal: controller.signal,
  });
  const task = work(budget);
  const ended = expect(task).rejects.toThrow("the caller left");
  await sleep(20);
  controller.abort(new Error("the caller left"));
  await ended;
});

test("a task whose clock stands still never ends its slice", () => {
  const clock = { ...systemClock, monotonicMs: () => 0 };
  const budget = new WorkBudget({ clock, maxUnits: Infinity, onSpent: spent });
  for (let i = 0; i < 1000; i += 1) budget.spend(1);
  expect(budget.isSliceOver).toBe(false);
});

test("an aborted signal is noticed before the loop turns", async () => {
  const budget = new WorkBudget({
    clock: systemClock,
    maxUnits: Infinity,
    onSpent: spent,
    signal: AbortSignal.abort(new Error("too late")),
  });
  await expect(budget.turn()).rejects.toThrow("too late");
});
