// Contains every statement against `api_key_usage` and `api_key_usage_reporters`.
import type { ApiKeyUsageReport } from "@muster/authz";
import { type ApiKeyId, type OrganizationId, uuidToBytes } from "@muster/core";
import { insertRows, type Queryable, type Transaction } from "@muster/db";
import type { Day } from "../login-counts/login-window.ts";
import { whereAnyKey } from "../login-counts/where-any-key.ts";

/** Calls of a key on one UTC date. */
export interface StoredCalls {
  readonly organizationId: OrganizationId;
  readonly apiKeyId: ApiKeyId;
  readonly day: Day;
  readonly calls: number;
}

interface Key {
  readonly organization_id: Buffer;
  readonly api_key_id: Buffer;
  readonly day: number;
}

const KEY = ["organization_id", "api_key_id", "day"] as const;

/** False for a report that was added before, or that is older than an added report. The row stays locked. */
export async function claimReport(
  trx: Transaction,
  { reporterId, sequence }: Pick<ApiKeyUsageReport, "reporterId" | "sequence">,
  nowMs: number,
): Promise<boolean> {
  const columns = ["reporter_id", "sequence", "update_time_ms"];
  const id = uuidToBytes(reporterId);
  await insertRows(trx, "api_key_usage_reporters", columns, [[id, 0, nowMs]], "keep", ["reporter_id"]);
  const claimed = await trx("api_key_usage_reporters")
    .where("reporter_id", id)
    .andWhere("sequence", "<", sequence)
    .update({ sequence, update_time_ms: nowMs });
  return claimed === 1;
}

/** Sorted by key, because concurrent reports lock the same rows. */
export async function addCalls(trx: Transaction, calls: readonly StoredCalls[]): Promise<void> {
  const rows = calls.map(({ organizationId, apiKeyId, day, calls: count }) => [
    uuidToBytes(organizationId),
    uuidToBytes(apiKeyId),
    day,
    count,
  ]);
  await insertRows(trx, "api_key_usage", [...KEY, "calls"], rows, { add: ["calls"] }, KEY);
}

/** The dates with calls, from the first to the last. */
export async function readCallsByDay(
  queryable: Queryable,
  { organizationId, id }: { readonly organizationId: OrganizationId; readonly id: ApiKeyId },
  first: Day,
  last: Day,
): Promise<Map<Day, number>> {
  const rows = await queryable("api_key_usage")
    .select<{ readonly day: number; readonly calls: number }[]>("day", "calls")
    .where({ organization_id: uuidToBytes(organizationId), api_key_id: uuidToBytes(id) })
    .andWhere("day", ">=", first)
    .andWhere("day", "<=", last);
  return new Map(rows.map(({ day, calls }) => [day, calls]));
}

/** Deletes at most `limit` counts of earlier dates; returns how many. */
export async function deleteUsageBefore(trx: Transaction, day: Day, limit: number): Promise<number> {
  const rows = await trx("api_key_usage")
    .select<Key[]>(...KEY)
    .where("day", "<", day)
    .orderBy("day")
    .limit(limit);
  if (rows.length === 0) return 0;
  const keys = rows.map((row) => KEY.map((column) => row[column]));
  return whereAnyKey(trx("api_key_usage"), KEY, keys).delete();
}

/** Deletes at most `limit` reporters without a report since `beforeMs`; returns how many. */
export async function deleteOldReporters(trx: Transaction, beforeMs: number, limit: number): Promise<number> {
  const rows = await trx("api_key_usage_reporters")
    .select<{ readonly reporter_id: Buffer }[]>("reporter_id")
    .where("update_time_ms", "<", beforeMs)
    .orderBy("update_time_ms")
    .limit(limit);
  if (rows.length === 0) return 0;
  const ids = rows.map(({ reporter_id }) => reporter_id);
  return trx("api_key_usage_reporters")
    .whereIn("reporter_id", ids)
    .andWhere("update_time_ms", "<", beforeMs)
    .delete();
}
