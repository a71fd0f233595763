// Contains every statement against `backup_codes`.
import { type UserId, uuidToBytes } from "@muster/core";
import type { Transaction } from "@muster/db";
import { hashBackupCode, newBackupCodes } from "../two-factor-rules/code-entry.ts";

/** Replaces the codes of a locked user; returns the new ones, whose text exists nowhere else. */
export async function replaceBackupCodes(
  trx: Transaction,
  key: Uint8Array,
  userId: UserId,
): Promise<string[]> {
  await deleteBackupCodes(trx, userId);
  const codes = newBackupCodes();
  await trx("backup_codes").insert(
    codes.map((code) => rowOf(userId, hashBackupCode(key, userId, code.replace("-", "")))),
  );
  return codes;
}

/** Uses a code up: of several concurrent calls one returns true. */
export async function useBackupCode(
  trx: Transaction,
  key: Uint8Array,
  userId: UserId,
  code: string,
): Promise<boolean> {
  const deleted = await trx("backup_codes")
    .where(rowOf(userId, hashBackupCode(key, userId, code)))
    .delete();
  return deleted === 1;
}

export async function deleteBackupCodes(trx: Transaction, userId: UserId): Promise<void> {
  await trx("backup_codes").where("user_id", uuidToBytes(userId)).delete();
}

function rowOf(userId: UserId, hash: Buffer) {
  return { user_id: uuidToBytes(userId), code_hash: hash };
}
