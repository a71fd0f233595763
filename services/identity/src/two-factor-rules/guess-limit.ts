// Decides when wrong codes lock a factor of an account. Pure.

export interface GuessLimit {
  /** Wrong codes within `windowMs` that lock. */
  readonly failuresMax: number;
  readonly windowMs: number;
  readonly lockMs: number;
}

const MINUTE_MS = 60_000;

/** TOTP and backup codes together, whatever the challenge. */
export const SECOND_FACTOR_LIMIT: GuessLimit = {
  failuresMax: 10,
  windowMs: 15 * MINUTE_MS,
  lockMs: 15 * MINUTE_MS,
};

/** Six-digit codes of mails, whatever the mail. */
export const MAIL_CODE_LIMIT: GuessLimit = {
  failuresMax: 15,
  windowMs: 24 * 60 * MINUTE_MS,
  lockMs: 24 * 60 * MINUTE_MS,
};

export interface Guesses {
  /** Epoch ms of the failures that may still count, at most `failuresMax` of the limit. */
  readonly failureTimesMs: readonly number[];
  /** Epoch ms; undefined when no lock was set. */
  readonly lockedUntilMs: number | undefined;
}

export const NO_GUESSES: Guesses = { failureTimesMs: [], lockedUntilMs: undefined };

/** Milliseconds until the lock ends; 0 without a lock. */
export function lockedForMs({ lockedUntilMs }: Guesses, nowMs: number): number {
  return Math.max(0, (lockedUntilMs ?? 0) - nowMs);
}

/** Adds a failure. A caller adds none while a lock stands, so that attempts never lengthen the lock. */
export function withFailure(guesses: Guesses, limit: GuessLimit, nowMs: number): Guesses {
  const recent = guesses.failureTimesMs.filter((timeMs) => timeMs > nowMs - limit.windowMs);
  const failureTimesMs = [...recent, nowMs];
  return failureTimesMs.length < limit.failuresMax
    ? { failureTimesMs, lockedUntilMs: undefined }
    : { failureTimesMs: [], lockedUntilMs: nowMs + limit.lockMs };
}
