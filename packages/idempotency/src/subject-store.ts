// Holds every statement against `idempotency_subjects`, which links kept responses to the profiles in the
// responses.
import { bytesToUuid, uuidToBytes } from "@muster/core";
import { insertRows, type Transaction } from "@muster/db";
import type { Claim } from "./ledger.ts";

const TABLE = "idempotency_subjects";
const COLUMNS = ["subject", "token", "scope", "idempotency_key", "expire_time_ms"] as const;

export async function addSubjects(
  trx: Transaction,
  claim: Claim,
  subjects: readonly string[],
  expireTimeMs: number,
): Promise<void> {
  const rows = [...new Set(subjects)]
    .sort()
    .map((subject) => [
      uuidToBytes(subject),
      uuidToBytes(claim.token),
      Buffer.from(claim.scope, "utf8"),
      Buffer.from(claim.key, "utf8"),
      expireTimeMs,
    ]);
  await insertRows(trx, TABLE, COLUMNS, rows, "keep", ["subject", "token"]);
}

/** Returns claims whose responses are about the subjects, each once and at most `limit`. */
export async function claimsAbout(
  trx: Transaction,
  subjects: readonly string[],
  limit: number,
): Promise<Claim[]> {
  const rows: { token: Buffer; scope: Buffer; idempotency_key: Buffer }[] = await trx(TABLE)
    .distinct("token", "scope", "idempotency_key")
    .whereIn("subject", subjects.map(uuidToBytes))
    .orderBy("token")
    .limit(limit);
  return rows.map(({ token, scope, idempotency_key: key }) => ({
    token: bytesToUuid(token),
    scope: scope.toString("utf8"),
    key: key.toString("utf8"),
  }));
}

export async function removeSubjects(
  trx: Transaction,
  subjects: readonly string[],
  { token }: Claim,
): Promise<void> {
  await trx(TABLE)
    .whereIn("subject", [...subjects].sort().map(uuidToBytes))
    .andWhere("token", uuidToBytes(token))
    .delete();
}

/** Deletes up to `limit` rows that had expired at `nowMs`. Resolves to the number of rows found. */
export async function removeExpiredSubjects(trx: Transaction, nowMs: number, limit: number): Promise<number> {
  const rows: { subject: Buffer; token: Buffer }[] = await trx(TABLE)
    .select("subject", "token")
    .where("expire_time_ms", "<=", nowMs)
    .orderBy("expire_time_ms")
    .limit(limit);
  rows.sort((a, b) => a.subject.compare(b.subject) || a.token.compare(b.token));
  for (const row of rows) await trx(TABLE).where(row).delete();
  return rows.length;
}
