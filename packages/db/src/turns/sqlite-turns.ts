// Lets the event loop turn between statements of SQLite. The driver runs statements on this thread, so that a task
// that awaits one statement after the other would otherwise hold the process until the last.
import { setImmediate as turn } from "node:timers/promises";
import { systemClock } from "@muster/core";

/** Longest time of consecutive statements. */
const SLICE_MS = 10;
/** The same in a transaction that writes: other writers wait meanwhile, and each turn makes them wait longer. */
const WRITING_SLICE_MS = 20;

/** When the first statement since the last turn of the event loop began; undefined before that statement. */
let sinceMs: number | undefined;

/** Resolves when the next statement may run; undefined means at once. Each turn runs a statement of every task. */
export function beforeStatement(isWriting: boolean): Promise<void> | undefined {
  const nowMs = systemClock.monotonicMs();
  if (sinceMs === undefined) {
    sinceMs = nowMs;
    setImmediate(() => {
      sinceMs = undefined;
    });
    return undefined;
  }
  return nowMs - sinceMs < (isWriting ? WRITING_SLICE_MS : SLICE_MS) ? undefined : turn();
}
