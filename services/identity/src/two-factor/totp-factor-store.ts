// Contains every statement against `totp_factors`.
import { openSealed, rowKey, sealBytes, type UserId, uuidToBytes } from "@muster/core";
import type { Queryable, Transaction } from "@muster/db";

export interface TotpFactor {
  readonly userId: UserId;
  readonly sealedSecret: Buffer;
  readonly createTimeMs: number;
  /** Undefined while the user has entered no code of the secret. */
  readonly confirmTimeMs: number | undefined;
  /**
   * Undefined for a factor that was enrolled without a recent password. Such a factor allows no step-up, because
   * whoever stole an access token could otherwise enroll a factor and step up with it.
   */
  readonly trustTimeMs: number | undefined;
  /** -1 before the first code. */
  readonly lastUsedStep: number;
}

interface Row {
  readonly sealed_secret: Buffer;
  readonly create_time_ms: number;
  readonly confirm_time_ms: number | null;
  readonly trust_time_ms: number | null;
  readonly last_used_step: number;
}

const COLUMNS = [
  "sealed_secret",
  "create_time_ms",
  "confirm_time_ms",
  "trust_time_ms",
  "last_used_step",
] as const;

/** The factor, confirmed or not. */
export async function findTotpFactor(queryable: Queryable, userId: UserId): Promise<TotpFactor | undefined> {
  const rows = await queryable("totp_factors").select<Row[]>(COLUMNS).where(keyOf(userId));
  return rows.map((row) => ({
    userId,
    sealedSecret: row.sealed_secret,
    createTimeMs: row.create_time_ms,
    confirmTimeMs: row.confirm_time_ms ?? undefined,
    trustTimeMs: row.trust_time_ms ?? undefined,
    lastUsedStep: Number(row.last_used_step),
  }))[0];
}

/** Replaces an enrollment that was not confirmed. The caller has locked the user. */
export async function saveEnrollment(
  trx: Transaction,
  userId: UserId,
  sealedSecret: Buffer,
  nowMs: number,
): Promise<void> {
  await deleteTotpFactor(trx, userId);
  await trx("totp_factors").insert({
    ...keyOf(userId),
    sealed_secret: sealedSecret,
    create_time_ms: nowMs,
    confirm_time_ms: null,
    trust_time_ms: null,
    last_used_step: -1,
  });
}

export async function confirmTotpFactor(
  trx: Transaction,
  userId: UserId,
  nowMs: number,
  isTrusted: boolean,
): Promise<void> {
  await trx("totp_factors")
    .where(keyOf(userId))
    .update({ confirm_time_ms: nowMs, trust_time_ms: isTrusted ? nowMs : null });
}

/** A login with the factor proves that it belongs to the user. */
export async function trustTotpFactor(trx: Transaction, userId: UserId, nowMs: number): Promise<void> {
  await trx("totp_factors").where(keyOf(userId)).whereNull("trust_time_ms").update({ trust_time_ms: nowMs });
}

/** Uses the code of a step up; false when this or a later step was used before. Every use of a code goes here. */
export async function useTotpStep(trx: Transaction, userId: UserId, step: number): Promise<boolean> {
  const updated = await trx("totp_factors")
    .where(keyOf(userId))
    .andWhere("last_used_step", "<", step)
    .update({ last_used_step: step });
  return updated === 1;
}

export async function deleteTotpFactor(trx: Transaction, userId: UserId): Promise<void> {
  await trx("totp_factors").where(keyOf(userId)).delete();
}

export function sealTotpSecret(key: Uint8Array, userId: UserId, secret: Uint8Array): Buffer {
  return sealBytes(rowKey(key, userId), [secret], userId);
}

export function openTotpSecret(key: Uint8Array, { userId, sealedSecret }: TotpFactor): Buffer {
  return openSealed(rowKey(key, userId), sealedSecret, userId);
}

function keyOf(userId: UserId) {
  return { user_id: uuidToBytes(userId) };
}
