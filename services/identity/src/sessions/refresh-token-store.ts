// Contains every statement against `refresh_tokens`: the tokens of each session, stored as hashes.
import { bytesToUuid, type SessionId, uuidToBytes } from "@muster/core";
import type { Queryable, Transaction } from "@muster/db";

export interface StoredRefreshToken {
  readonly sessionId: SessionId;
  /** When the token was replaced, by the database's clock. */
  readonly usedTimeMs: number | undefined;
  /** The successor, sealed under a key derived from the token; absent after the grace period. */
  readonly successorSeal: Buffer | undefined;
}

interface Row {
  readonly token_hash: Buffer;
  readonly session_id: Buffer;
  readonly used_time_ms: number | null;
  readonly successor_seal: Buffer | null;
}

export async function insertRefreshToken(
  trx: Transaction,
  hash: Buffer,
  sessionId: SessionId,
): Promise<void> {
  await trx("refresh_tokens").insert({ token_hash: hash, session_id: uuidToBytes(sessionId) });
}

export async function findRefreshToken(
  queryable: Queryable,
  hash: Buffer,
): Promise<StoredRefreshToken | undefined> {
  const rows = await queryable("refresh_tokens")
    .select<Row[]>("session_id", "used_time_ms", "successor_seal")
    .where("token_hash", hash);
  return rows.map((row) => ({
    sessionId: bytesToUuid<SessionId>(row.session_id),
    usedTimeMs: row.used_time_ms ?? undefined,
    successorSeal: row.successor_seal ?? undefined,
  }))[0];
}

/** Of several concurrent calls with one token, one claims it. */
export async function claimRefreshToken(
  trx: Transaction,
  hash: Buffer,
  use: { readonly timeMs: number; readonly successorSeal: Buffer; readonly sealEndTimeMs: number },
): Promise<boolean> {
  const claimed = await trx("refresh_tokens").where("token_hash", hash).whereNull("used_time_ms").update({
    used_time_ms: use.timeMs,
    successor_seal: use.successorSeal,
    seal_end_time_ms: use.sealEndTimeMs,
  });
  return claimed === 1;
}

/** Deletes at most `limit` seals whose grace period is over; returns how many. */
export async function deleteEndedSeals(trx: Transaction, nowMs: number, limit: number): Promise<number> {
  const ended = await trx("refresh_tokens")
    .select<Row[]>("token_hash")
    .where("seal_end_time_ms", "<=", nowMs)
    .orderBy("seal_end_time_ms")
    .limit(limit);
  if (ended.length > 0) {
    await trx("refresh_tokens")
      .whereIn("token_hash", sortedHashes(ended))
      .update({ successor_seal: null, seal_end_time_ms: null });
  }
  return ended.length;
}

/** Deletes at most `limit` tokens that were used before `beforeMs`; returns how many. */
export async function deleteUsedTokens(trx: Transaction, beforeMs: number, limit: number): Promise<number> {
  const used = await trx("refresh_tokens")
    .select<Row[]>("token_hash")
    .where("used_time_ms", "<", beforeMs)
    .orderBy("used_time_ms")
    .limit(limit);
  if (used.length > 0) await trx("refresh_tokens").whereIn("token_hash", sortedHashes(used)).delete();
  return used.length;
}

export async function deleteTokensOfSessions(
  trx: Transaction,
  sessionIds: readonly SessionId[],
): Promise<void> {
  if (sessionIds.length === 0) return;
  await trx("refresh_tokens").whereIn("session_id", sessionIds.map(uuidToBytes)).delete();
}

/** In the order of the key, so that two transactions lock in the same order. */
function sortedHashes(rows: readonly Row[]): Buffer[] {
  return rows.map((row) => row.token_hash).sort(Buffer.compare);
}
