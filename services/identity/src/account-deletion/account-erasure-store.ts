// Contains every statement against `account_erasures`: the permanent receipts of erased accounts.
import { createHmac } from "node:crypto";
import type { UserId } from "@muster/core";
import type { Transaction } from "@muster/db";

const TABLE = "account_erasures";

/** A second erasure of the same account, after a restored backup, begins the receipt again. */
export async function beginAccountErasure(
  trx: Transaction,
  key: Uint8Array,
  userId: UserId,
  nowMs: number,
): Promise<void> {
  const account_key = accountKeyOf(key, userId);
  await trx(TABLE).where({ account_key }).delete();
  await trx(TABLE).insert({ account_key, create_time_ms: nowMs });
}

export async function completeAccountErasure(
  trx: Transaction,
  key: Uint8Array,
  userId: UserId,
  { nowMs, counts }: { readonly nowMs: number; readonly counts: Readonly<Record<string, number>> },
): Promise<void> {
  await trx(TABLE)
    .where("account_key", accountKeyOf(key, userId))
    .update({ complete_time_ms: nowMs, counts: Buffer.from(JSON.stringify(counts)) });
}

/** Keyed, so that nobody without the key of the installation finds the person by the receipt. */
function accountKeyOf(key: Uint8Array, userId: UserId): Buffer {
  return createHmac("sha256", key).update(userId).digest();
}
