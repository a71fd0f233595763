// Holds every statement against `mail_quotas`.
import { forUpdate, insertRows, type Transaction } from "@muster/db";
import { admitMail, QUOTA_MS, timesFromBytes, timesToBytes } from "./mail-quota.ts";

const TABLE = "mail_quotas";
const COLUMNS = ["quota_key", "sent_times", "expire_time_ms"];

/** Counts a mail; false if the limit is reached. Two transactions at once count one after the other. */
export async function countMail(trx: Transaction, quotaKey: Buffer, nowMs: number): Promise<boolean> {
  const expireTimeMs = nowMs + QUOTA_MS;
  await insertRows(trx, TABLE, COLUMNS, [[quotaKey, Buffer.alloc(0), expireTimeMs]], "keep", ["quota_key"]);
  const query = trx(TABLE).select<{ sent_times: Buffer }[]>("sent_times").where({ quota_key: quotaKey });
  const [row] = await forUpdate(trx, query);
  const times = admitMail(timesFromBytes(row?.sent_times ?? Buffer.alloc(0)), nowMs);
  if (times === undefined) return false;
  await trx(TABLE)
    .where({ quota_key: quotaKey })
    .update({ sent_times: timesToBytes(times), expire_time_ms: expireTimeMs });
  return true;
}

/** Deletes quotas without mails in the last day, at most `limit`. Resolves to the number of rows found. */
export async function deleteExpiredQuotas(trx: Transaction, nowMs: number, limit: number): Promise<number> {
  const keys = await trx(TABLE)
    .where("expire_time_ms", "<=", nowMs)
    .orderBy("expire_time_ms")
    .limit(limit)
    .pluck<Buffer[]>("quota_key");
  if (keys.length === 0) return 0;
  // Checked again, because a mail may have been counted since the read.
  await trx(TABLE)
    .whereIn("quota_key", keys.sort(Buffer.compare))
    .andWhere("expire_time_ms", "<=", nowMs)
    .delete();
  return keys.length;
}
