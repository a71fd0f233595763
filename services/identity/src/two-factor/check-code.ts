// Checks a typed code against the second factor of an account, and counts wrong codes.
import type { Transaction } from "@muster/db";
import { type CodeEntry, readCodeEntry } from "../two-factor-rules/code-entry.ts";
import { lockedForMs, SECOND_FACTOR_LIMIT, withFailure } from "../two-factor-rules/guess-limit.ts";
import { matchTotpStep } from "../two-factor-rules/totp.ts";
import type { TwoFactorKeys } from "../two-factor-rules/two-factor-keys.ts";
import type { User } from "../users/user.ts";
import { useBackupCode } from "./backup-code-store.ts";
import { endChallenges } from "./challenge-store.ts";
import { findGuesses, saveGuesses } from "./guess-store.ts";
import { openTotpSecret, type TotpFactor, useTotpStep } from "./totp-factor-store.ts";

export type CodeCheck =
  | { readonly kind: "accepted"; readonly method: CodeEntry["kind"] }
  /** The failure is counted; `isLockedNow` when this failure locks the factor. */
  | { readonly kind: "wrong"; readonly isLockedNow: boolean }
  /** No code was compared, and no failure was counted. */
  | { readonly kind: "locked"; readonly retryAfterMs: number };

/**
 * Uses a right code up. The caller has locked the user and commits in each case, so that a wrong code counts.
 * Login, step-up and enrollment all call this function, so that a code works once among these calls.
 */
export async function checkCode(
  trx: Transaction,
  keys: TwoFactorKeys,
  {
    user,
    factor,
    typed,
  }: { readonly user: Pick<User, "id">; readonly factor: TotpFactor; readonly typed: string },
  nowMs: number,
): Promise<CodeCheck> {
  const guesses = await findGuesses(trx, user.id, "second_factor");
  const retryAfterMs = lockedForMs(guesses, nowMs);
  if (retryAfterMs > 0) return { kind: "locked", retryAfterMs };
  const entry = readCodeEntry(typed);
  if (entry !== undefined && (await useEntry(trx, keys, factor, entry, nowMs))) {
    return { kind: "accepted", method: entry.kind };
  }
  const counted = withFailure(guesses, SECOND_FACTOR_LIMIT, nowMs);
  await saveGuesses(trx, user.id, "second_factor", counted);
  const isLockedNow = counted.lockedUntilMs !== undefined;
  if (isLockedNow) await endChallenges(trx, user.id);
  return { kind: "wrong", isLockedNow };
}

async function useEntry(
  trx: Transaction,
  keys: TwoFactorKeys,
  factor: TotpFactor,
  entry: CodeEntry,
  nowMs: number,
): Promise<boolean> {
  if (entry.kind === "backup_code") return useBackupCode(trx, keys.backupCodes, factor.userId, entry.code);
  const step = matchTotpStep(openTotpSecret(keys.totpSecrets, factor), entry.code, nowMs);
  return step !== undefined && useTotpStep(trx, factor.userId, step);
}
