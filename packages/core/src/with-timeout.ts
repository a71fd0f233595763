// Waits for a promise for a limited time, measured by a clock.
import type { Clock } from "./clock.ts";

/** A ready-made abort reason saves creating a DOMException for every wait. */
const DONE = "done";
const LATE: unique symbol = Symbol("late");

/**
 * Resolves or rejects as the promise does. After `timeoutMs` it returns the result of `onTimeout`, or rejects with
 * the error that `onTimeout` throws; a later outcome of the promise is ignored.
 */
export async function withTimeout<Value, Late>(
  clock: Clock,
  timeoutMs: number,
  promise: Promise<Value>,
  onTimeout: () => Late,
): Promise<Value | Late> {
  const timer = new AbortController();
  const late = clock.sleep(timeoutMs, timer.signal).then((): typeof LATE => LATE);
  try {
    const outcome = await Promise.race([promise, late]);
    return outcome === LATE ? onTimeout() : outcome;
  } finally {
    timer.abort(DONE);
  }
}
