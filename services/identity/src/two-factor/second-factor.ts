// Reads whether an account has a second factor, and removes the factor.
import type { Queryable, Transaction } from "@muster/db";
import type { User } from "../users/user.ts";
import { deleteBackupCodes } from "./backup-code-store.ts";
import { endChallenges } from "./challenge-store.ts";
import { deleteRecovery, findRecovery } from "./recovery-store.ts";
import { deleteTotpFactor, findTotpFactor, type TotpFactor } from "./totp-factor-store.ts";

export interface SecondFactor {
  /** The confirmed factor; undefined without one, and once a recovery is effective. */
  readonly factor: TotpFactor | undefined;
  /** When a scheduled recovery removes the factor; undefined when none is pending. */
  readonly recoveryTimeMs: number | undefined;
}

type Account = Pick<User, "id" | "securityVersion">;

export async function findSecondFactor(
  queryable: Queryable,
  user: Account,
  nowMs: number,
): Promise<SecondFactor> {
  const factor = await findTotpFactor(queryable, user.id);
  if (factor?.confirmTimeMs === undefined) return { factor: undefined, recoveryTimeMs: undefined };
  const recovery = await findRecovery(queryable, user.id);
  if (recovery === undefined || recovery.securityVersion !== user.securityVersion) {
    return { factor, recoveryTimeMs: undefined };
  }
  return recovery.effectiveTimeMs <= nowMs
    ? { factor: undefined, recoveryTimeMs: undefined }
    : { factor, recoveryTimeMs: recovery.effectiveTimeMs };
}

export async function hasSecondFactor(queryable: Queryable, user: Account, nowMs: number): Promise<boolean> {
  return (await findSecondFactor(queryable, user, nowMs)).factor !== undefined;
}

/** What a user can enter for a step-up: the `details.methods` of STEP_UP_REQUIRED. */
export async function stepUpMethods(
  queryable: Queryable,
  user: Pick<User, "id" | "securityVersion" | "passwordHash">,
  nowMs: number,
): Promise<string[]> {
  const { factor } = await findSecondFactor(queryable, user, nowMs);
  return [
    ...(user.passwordHash === undefined ? [] : ["password"]),
    ...(factor?.trustTimeMs === undefined ? [] : ["totp", "backup_code"]),
  ];
}

/** Removes the factor of a locked user with all that belongs to it. Guesses stay, so that a lock stands. */
export async function removeSecondFactor(trx: Transaction, { id }: Pick<User, "id">): Promise<void> {
  await deleteTotpFactor(trx, id);
  await deleteBackupCodes(trx, id);
  await deleteRecovery(trx, id);
  await endChallenges(trx, id);
}
