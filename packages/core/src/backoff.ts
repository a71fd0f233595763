// Computes the wait after consecutive failures, by a policy of growth, limit and jitter.
import { randomInt } from "node:crypto";

/** How waits grow with consecutive failures. */
export interface BackoffPolicy {
  /** Wait after the first failure, before jitter. */
  readonly minMs: number;
  /** Longest wait. */
  readonly maxMs: number;
  /** "double" (default): each wait is twice the one before. "add": each is longer by `minMs`. */
  readonly growth?: "double" | "add";
  /**
   * Spreads callers that failed together. "none" (default): the exact wait. "half": between half and all of the
   * wait. "full": between nothing and all of the wait.
   */
  readonly jitter?: "none" | "half" | "full";
}

/** Keeps 2^n within the range of exact integers. */
const DOUBLINGS_MAX = 30;

/**
 * Returns the wait in milliseconds after `failures` consecutive failures (at least 1). `random` returns a number
 * of at least 0 and less than 1.
 */
export function backoffMs(
  failures: number,
  policy: BackoffPolicy,
  random: () => number = randomFraction,
): number {
  const { minMs, maxMs, growth = "double", jitter = "none" } = policy;
  const factor = growth === "double" ? 2 ** Math.min(failures - 1, DOUBLINGS_MAX) : failures;
  const waitMs = Math.min(maxMs, minMs * factor);
  if (jitter === "none") return waitMs;
  if (jitter === "full") return waitMs * random();
  return Math.ceil(waitMs / 2) + Math.floor(random() * (Math.floor(waitMs / 2) + 1));
}

function randomFraction(): number {
  return randomInt(2 ** 32) / 2 ** 32;
}
