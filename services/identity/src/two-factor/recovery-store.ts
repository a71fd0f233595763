// Contains every statement against `two_factor_recoveries`: the scheduled removals of lost second factors.
import { bytesToUuid, type UserId, uuidToBytes } from "@muster/core";
import type { Queryable, Transaction } from "@muster/db";

export interface Recovery {
  readonly userId: UserId;
  /** The user's security version at the confirmation: a later version voids the recovery. */
  readonly securityVersion: number;
  readonly createTimeMs: number;
  readonly effectiveTimeMs: number;
}

interface Row {
  readonly user_id: Buffer;
  readonly security_version: number;
  readonly create_time_ms: number;
  readonly effective_time_ms: number;
}

const COLUMNS = ["user_id", "security_version", "create_time_ms", "effective_time_ms"] as const;

export async function findRecovery(queryable: Queryable, userId: UserId): Promise<Recovery | undefined> {
  const rows = await queryable("two_factor_recoveries")
    .select<Row[]>(COLUMNS)
    .where("user_id", uuidToBytes(userId));
  return rows.map(fromRow)[0];
}

/** Recoveries that are effective at `nowMs`, earliest first. */
export async function listEffectiveRecoveries(
  queryable: Queryable,
  nowMs: number,
  limit: number,
): Promise<Recovery[]> {
  const rows = await queryable("two_factor_recoveries")
    .select<Row[]>(COLUMNS)
    .where("effective_time_ms", "<=", nowMs)
    .orderBy("effective_time_ms")
    .limit(limit);
  return rows.map(fromRow);
}

/** Replaces a recovery of a locked user. */
export async function saveRecovery(trx: Transaction, recovery: Recovery): Promise<void> {
  await deleteRecovery(trx, recovery.userId);
  await trx("two_factor_recoveries").insert({
    user_id: uuidToBytes(recovery.userId),
    security_version: recovery.securityVersion,
    create_time_ms: recovery.createTimeMs,
    effective_time_ms: recovery.effectiveTimeMs,
  });
}

/** False when there was none. */
export async function deleteRecovery(trx: Transaction, userId: UserId): Promise<boolean> {
  return (await trx("two_factor_recoveries").where("user_id", uuidToBytes(userId)).delete()) === 1;
}

function fromRow(row: Row): Recovery {
  return {
    userId: bytesToUuid(row.user_id),
    securityVersion: Number(row.security_version),
    createTimeMs: row.create_time_ms,
    effectiveTimeMs: row.effective_time_ms,
  };
}
