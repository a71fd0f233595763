// Runs a transaction again after a conflict with another one: bounded, with growing random pauses.
import { randomInt } from "node:crypto";
import { type BackoffPolicy, backoffMs, type Clock, systemClock } from "@muster/core";
import { databaseUnavailable, LockWaitTimeout, TransactionConflict } from "../port/database-errors.ts";

export interface RetryPolicy {
  readonly attemptsMax: number;
  /** No new attempt starts after this time: a lock wait alone may take seconds. */
  readonly elapsedMsMax: number;
  readonly pauseMsMin: number;
  readonly pauseMsMax: number;
  readonly clock: Clock;
  /** Whether a lock wait that took too long runs again. */
  readonly retriesLockWaits: boolean;
  /** At least 0 and less than 1. */
  readonly random: () => number;
}

export const defaultRetryPolicy: RetryPolicy = {
  attemptsMax: 12,
  elapsedMsMax: 7_000,
  pauseMsMin: 4,
  pauseMsMax: 500,
  retriesLockWaits: true,
  clock: systemClock,
  random: () => randomInt(2 ** 32) / 2 ** 32,
};

/** Resolves or rejects as `run` does. Rejects with UNAVAILABLE after too many conflicts. */
export async function retryConflicts<T>(policy: RetryPolicy, run: () => Promise<T>): Promise<T> {
  const startMs = policy.clock.monotonicMs();
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await run();
    } catch (error) {
      if (!(error instanceof TransactionConflict)) throw error;
      if (!policy.retriesLockWaits && error instanceof LockWaitTimeout) throw databaseUnavailable(error);
      const isTooLong = policy.clock.monotonicMs() - startMs >= policy.elapsedMsMax;
      if (attempt >= policy.attemptsMax || isTooLong) throw databaseUnavailable(error);
      // Full jitter, so that two conflicting transactions do not collide again.
      const backoff: BackoffPolicy = { minMs: policy.pauseMsMin, maxMs: policy.pauseMsMax, jitter: "full" };
      await policy.clock.sleep(backoffMs(attempt, backoff, policy.random));
    }
  }
}
