// The tasks of the thread pool's tests.
import { AppError } from "@muster/errors";
import { serveTask, TaskStopped } from "@muster/runtime/threads";
import { CRASH, FILL_HEAP, LOOP, REJECT, SPEND, SUM } from "./tasks.ts";

export const sum = serveTask(SUM, async (start, chunks) => {
  let total = start;
  for await (const chunk of chunks) for (const number of chunk) total += number;
  return total;
});

export const spend = serveTask(SPEND, ({ unitsMax }, _chunks, control) => {
  if (unitsMax !== undefined) control.limitUnits(unitsMax);
  try {
    for (;;) control.spend(1);
  } catch (error) {
    if (error instanceof TaskStopped) return control.spentUnits;
    throw error;
  }
});

export const loop = serveTask(LOOP, () => {
  for (;;);
});

export const fillHeap = serveTask(FILL_HEAP, () => {
  const kept: number[][] = [];
  for (;;) kept.push(Array.from({ length: 10_000 }, Math.random));
});

export const crash = serveTask(CRASH, () => {
  setImmediate(() => {
    throw new Error("a defect");
  });
  return new Promise<never>(() => {});
});

export const reject = serveTask(REJECT, (limit) => {
  throw new AppError("SEGMENT_LIMIT_REACHED", { message: "too many", details: { limit } });
});
