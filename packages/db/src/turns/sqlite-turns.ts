// Lets the event loop turn between reads of SQLite. The driver runs statements on this thread, so that a task that
// awaits one statement after the other would otherwise hold the process until the last.
import { setImmediate as turn } from "node:timers/promises";
import { systemClock } from "@muster/core";

/** Longest time of consecutive statements. */
const SLICE_MS = 10;

/** When the first read since the last turn of the event loop began; undefined before that statement. */
let sinceMs: number | undefined;

/** Resolves when the next read may run; undefined means at once. Each turn runs a statement of every task. */
export function beforeRead(): Promise<void> | undefined {
  const nowMs = systemClock.monotonicMs();
  if (sinceMs === undefined) {
    sinceMs = nowMs;
    setImmediate(() => {
      sinceMs = undefined;
    });
    return undefined;
  }
  return nowMs - sinceMs < SLICE_MS ? undefined : turn();
}
