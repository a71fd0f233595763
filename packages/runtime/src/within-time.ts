// Waiting that ends.
import type { Clock } from "@muster/core";

/** Whether the promise resolved in time; rejects if it rejected in time. What comes later is ignored. */
export async function withinTime(
  clock: Clock,
  timeoutMs: number,
  promise: Promise<unknown>,
): Promise<boolean> {
  const cut = new AbortController();
  const finished = promise.then(() => true);
  finished.catch(() => {}); // After the time is up nobody listens.
  const tooLate = clock.sleep(timeoutMs, cut.signal).then(() => false);
  try {
    return await Promise.race([finished, tooLate]);
  } finally {
    cut.abort();
  }
}
