// Decides when a mail that was not sent is tried again. Pure.
import { backoffMs } from "@muster/core";

/** About 13 hours of attempts. */
export const ATTEMPTS_MAX = 20;
const POLICY = { minMs: 30_000, maxMs: 60 * 60_000 };

/**
 * The time of the next attempt; undefined after too many attempts, or when the mail would be useless by then.
 * `attempts` counts the attempts so far.
 */
export function nextAttemptMs(attempts: number, nowMs: number, usefulUntilMs: number): number | undefined {
  const dueMs = nowMs + backoffMs(attempts, POLICY);
  return attempts >= ATTEMPTS_MAX || dueMs >= usefulUntilMs ? undefined : dueMs;
}
