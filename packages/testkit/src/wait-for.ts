// Waits for a condition instead of a duration.

export interface WaitOptions {
  readonly timeoutMs?: number;
  /** Part of the error message when the wait times out. */
  readonly what?: string;
}

const POLL_MS = 5;
/** Ends only what hangs. A machine that runs other work may take ten times as long as usual. */
const TIMEOUT_MS = 30_000;

/** Resolves to the first result of `predicate` that is neither false nor undefined; rejects after `timeoutMs`. */
export async function waitFor<T>(
  predicate: () => T | Promise<T>,
  options: WaitOptions = {},
): Promise<Exclude<T, false | undefined>> {
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    const result = await predicate();
    if (result !== false && result !== undefined) return result as Exclude<T, false | undefined>;
    if (performance.now() > deadlineMs) {
      throw new Error(`waited ${timeoutMs} ms in vain for ${options.what ?? predicate.toString()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
