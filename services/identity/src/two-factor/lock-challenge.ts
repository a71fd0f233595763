// Finds the login that a challenge continues, and locks the account of the challenge.
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import { lockedForMs } from "../two-factor-rules/guess-limit.ts";
import type { User } from "../users/user.ts";
import { lockUser } from "../users/user-store.ts";
import { readChallenge } from "./challenge.ts";
import type { Challenge } from "./challenge-store.ts";
import { findGuesses } from "./guess-store.ts";
import { findSecondFactor } from "./second-factor.ts";
import type { TotpFactor } from "./totp-factor-store.ts";

export interface PendingLogin {
  readonly challenge: Challenge;
  readonly user: User;
  readonly factor: TotpFactor;
}

/**
 * CODE_INVALID for a challenge that is unknown, used, expired, or older than a change of the address or the
 * password. TWO_FACTOR_LOCKED while the lock stands that has ended the challenge.
 */
export async function lockChallenge(trx: Transaction, text: string, nowMs: number): Promise<PendingLogin> {
  const found = await readChallenge(trx, text, nowMs);
  const user = found && (await lockUser(trx, found.userId));
  // Read again, because another call may have used the challenge before the lock.
  const challenge = user && (await readChallenge(trx, text, nowMs));
  if (challenge === undefined || challenge.securityVersion !== user?.securityVersion) throw dead();
  if (challenge.isEnded) {
    const retryAfterMs = lockedForMs(await findGuesses(trx, user.id, "second_factor"), nowMs);
    throw retryAfterMs > 0 ? new AppError("TWO_FACTOR_LOCKED", { retryAfterMs }) : dead();
  }
  const { factor } = await findSecondFactor(trx, user, nowMs);
  // Removed meanwhile: the next login needs no code.
  if (factor === undefined) throw dead();
  return { challenge, user, factor };
}

function dead(): AppError {
  return new AppError("CODE_INVALID");
}
