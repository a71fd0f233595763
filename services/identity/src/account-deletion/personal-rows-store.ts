// Deletes the rows of a person from the tables of identity.
import { type UserId, uuidToBytes } from "@muster/core";
import type { Transaction } from "@muster/db";

/** Tables with few rows of a person, found by `user_id`. */
const CREDENTIAL_TABLES = [
  "totp_factors",
  "backup_codes",
  "code_guesses",
  "login_challenges",
  "two_factor_recoveries",
  "one_time_tokens",
  "known_devices",
  "removed_memberships",
];
const ROWS_MAX = 500;

/** Deletes credentials, links and devices of a person, and memberships that ended before. */
export async function deleteCredentialsOf(trx: Transaction, userId: UserId): Promise<void> {
  for (const table of CREDENTIAL_TABLES) await trx(table).where("user_id", uuidToBytes(userId)).delete();
}

/** Deletes at most ROWS_MAX sessions of a person with the refresh tokens; returns the number. */
export async function deleteSomeSessions(trx: Transaction, userId: UserId): Promise<number> {
  const ids = await trx("sessions")
    .where("user_id", uuidToBytes(userId))
    .orderBy("create_time_ms")
    .limit(ROWS_MAX)
    .pluck<Buffer[]>("id");
  if (ids.length === 0) return 0;
  ids.sort(Buffer.compare);
  await trx("refresh_tokens").whereIn("session_id", ids).delete();
  return trx("sessions").whereIn("id", ids).delete();
}

/** Deletes at most ROWS_MAX activities of a person; returns the number. */
export async function deleteSomeActivities(trx: Transaction, userId: UserId): Promise<number> {
  const user_id = uuidToBytes(userId);
  const ids = await trx("user_activities")
    .where({ user_id })
    .orderBy("create_time_ms")
    .limit(ROWS_MAX)
    .pluck<Buffer[]>("id");
  if (ids.length === 0) return 0;
  return trx("user_activities").where({ user_id }).whereIn("id", ids).delete();
}

/** The ids of at most ROWS_MAX exports about a person. */
export async function listSomeExports(trx: Transaction, userId: UserId): Promise<Buffer[]> {
  return trx("exports").where("user_id", uuidToBytes(userId)).limit(ROWS_MAX).pluck<Buffer[]>("id");
}

/** The organizations that partners have provisioned stay, but name their first owner no more. */
export async function forgetProvisionedOwner(trx: Transaction, userId: UserId): Promise<void> {
  await trx("provisionings").where("owner_id", uuidToBytes(userId)).update({ owner_id: null });
}
