// Stores the retention of organizations: every statement against `retentions` and `retention_days`.
import { bytesToUuid, type OrganizationId, uuidToBytes } from "@muster/core";
import { forUpdate, insertRows, type Queryable, type Transaction } from "@muster/db";
import { type Retention, type RetentionDays, UNLIMITED, unlimitedRetention } from "./retention.ts";

interface Row {
  organization_id: Buffer;
  raw_event_days: number;
  aggregate_days: number;
  complete_since_ms: number;
  next_pass_ms: number;
  resume_day: number | null;
  changing_until_ms: number;
  history_due_ms: number;
  history_after: Buffer | null;
  update_ms: number;
}

const COLUMNS = [
  "organization_id",
  "raw_event_days",
  "aggregate_days",
  "complete_since_ms",
  "next_pass_ms",
  "resume_day",
  "changing_until_ms",
  "history_due_ms",
  "history_after",
  "update_ms",
] as const;

/** Reads the retention; an organization without a row has unlimited retention. */
export async function readRetention(db: Queryable, organizationId: OrganizationId): Promise<Retention> {
  const row = await db("retentions")
    .where("organization_id", uuidToBytes(organizationId))
    .first<Row | undefined>(COLUMNS);
  return row === undefined ? unlimitedRetention(organizationId) : fromRow(row);
}

/** Returns the instant before which received events can be missing; 0 when no event is missing. */
export async function readCompleteSince(db: Queryable, organizationId: OrganizationId): Promise<number> {
  const row = await db("retentions")
    .where("organization_id", uuidToBytes(organizationId))
    .first<Pick<Row, "complete_since_ms"> | undefined>("complete_since_ms");
  return row?.complete_since_ms ?? 0;
}

/** A locked row with the end of a change in progress. */
export interface LockedRetention extends Retention {
  /** Another change is in progress until this instant. */
  readonly changingUntilMs: number;
}

/** Locks the row until the transaction ends, and inserts the row if needed. */
export async function lockRetention(
  trx: Transaction,
  organizationId: OrganizationId,
): Promise<LockedRetention> {
  const key = uuidToBytes(organizationId);
  const fresh = [key, UNLIMITED, UNLIMITED, 0, 0, null, 0, 0, null, 0];
  await insertRows(trx, "retentions", COLUMNS, [fresh], "keep", ["organization_id"]);
  const query = trx("retentions").select<Row[]>(COLUMNS).where("organization_id", key);
  const [row] = await forUpdate(trx, query);
  return row === undefined
    ? { ...unlimitedRetention(organizationId), changingUntilMs: 0 }
    : { ...fromRow(row), changingUntilMs: row.changing_until_ms };
}

/** Blocks other changes until `untilMs`; 0 ends the change. */
export async function markChanging(
  trx: Transaction,
  organizationId: OrganizationId,
  untilMs: number,
): Promise<void> {
  await trx("retentions")
    .where("organization_id", uuidToBytes(organizationId))
    .update({ changing_until_ms: untilMs });
}

/** Saves the days and requests a pass immediately, because more rows can be expired. */
export async function saveRetentionDays(
  trx: Transaction,
  organizationId: OrganizationId,
  days: RetentionDays,
  nowMs: number,
): Promise<void> {
  await trx("retentions").where("organization_id", uuidToBytes(organizationId)).update({
    raw_event_days: days.rawEventDays,
    aggregate_days: days.aggregateDays,
    next_pass_ms: 0,
    resume_day: null,
    history_due_ms: 0,
    history_after: null,
    update_ms: nowMs,
  });
}

/**
 * Raises `complete_since`, so that readers know that earlier events can be missing. Returns false when the
 * retention has changed; the caller then deletes nothing. Invariant: the deleting transaction calls this, so
 * that every snapshot without an event has the new value.
 */
export async function raiseCompleteSince(
  trx: Transaction,
  organizationId: OrganizationId,
  horizon: { readonly rawEventDays: number; readonly ms: number },
): Promise<boolean> {
  const key = { organization_id: uuidToBytes(organizationId) };
  const query = trx("retentions")
    .select<Pick<Row, "raw_event_days" | "complete_since_ms">[]>("raw_event_days", "complete_since_ms")
    .where(key);
  const [row] = await forUpdate(trx, query);
  if (row?.raw_event_days !== horizon.rawEventDays) return false;
  if (row.complete_since_ms < horizon.ms) {
    await trx("retentions").where(key).update({ complete_since_ms: horizon.ms });
  }
  return true;
}

/** A pass that is due, and the state of the previous pass. */
export interface DueRetention {
  readonly organizationId: OrganizationId;
  readonly days: RetentionDays;
  readonly nextPassMs: number;
  /** The day at which the last pass stopped. */
  readonly resumeDay: number | undefined;
  readonly history: HistoryWalk;
}

/** The walk over the alert history. */
export interface HistoryWalk {
  /** The start of the next part of the walk, in milliseconds. */
  readonly dueMs: number;
  /** The last key of the walk; undefined when the walk has not started. */
  readonly after: Buffer | undefined;
}

/** Returns the first organization after the given id with a limited retention and a due pass. */
export async function findDueRetention(
  db: Queryable,
  after: OrganizationId | undefined,
  nowMs: number,
): Promise<DueRetention | undefined> {
  const query = db("retentions")
    .where("next_pass_ms", "<=", nowMs)
    .andWhere((limited) =>
      limited.where("raw_event_days", ">", UNLIMITED).orWhere("aggregate_days", ">", UNLIMITED),
    )
    .orderBy("organization_id")
    .first<Row | undefined>(COLUMNS);
  if (after !== undefined) query.andWhere("organization_id", ">", uuidToBytes(after));
  const row = await query;
  if (row === undefined) return undefined;
  return {
    organizationId: bytesToUuid(row.organization_id),
    days: { rawEventDays: row.raw_event_days, aggregateDays: row.aggregate_days },
    nextPassMs: row.next_pass_ms,
    resumeDay: row.resume_day ?? undefined,
    history: { dueMs: row.history_due_ms, after: row.history_after ?? undefined },
  };
}

/**
 * Takes the lease on a pass until `untilMs`. The second of two workers finds a changed row and returns false.
 */
export async function leasePass(
  trx: Transaction,
  { organizationId, nextPassMs }: DueRetention,
  untilMs: number,
): Promise<boolean> {
  const updatedRows = await trx("retentions")
    .where({ organization_id: uuidToBytes(organizationId), next_pass_ms: nextPassMs })
    .update({ next_pass_ms: untilMs });
  return updatedRows > 0;
}

/** Returns whether the lease is still valid, and no new pass was requested in the meantime. */
export async function holdsPass(
  db: Queryable,
  { organizationId, nextPassMs }: Pick<DueRetention, "organizationId" | "nextPassMs">,
): Promise<boolean> {
  const row = await db("retentions")
    .where("organization_id", uuidToBytes(organizationId))
    .first<Pick<Row, "next_pass_ms"> | undefined>("next_pass_ms");
  return row?.next_pass_ms === nextPassMs;
}

/**
 * Ends the pass that is leased until `heldUntilMs`. A change of the retention in the meantime has requested
 * another pass.
 */
export async function endPass(
  trx: Transaction,
  organizationId: OrganizationId,
  pass: {
    readonly heldUntilMs: number;
    readonly nextPassMs: number;
    readonly resumeDay: number | undefined;
    readonly history: HistoryWalk;
  },
): Promise<void> {
  await trx("retentions")
    .where({ organization_id: uuidToBytes(organizationId), next_pass_ms: pass.heldUntilMs })
    .update({
      next_pass_ms: pass.nextPassMs,
      resume_day: pass.resumeDay ?? null,
      history_due_ms: pass.history.dueMs,
      history_after: pass.history.after ?? null,
    });
}

/**
 * Returns the age start of the oldest event that the last visit of the day left. Undefined: the day had no
 * visit or no remaining event.
 */
export async function readOldestOfDay(
  db: Queryable,
  organizationId: OrganizationId,
  day: number,
): Promise<number | undefined> {
  const row = await db("retention_days")
    .where({ organization_id: uuidToBytes(organizationId), day })
    .first<{ oldest_ms: number } | undefined>("oldest_ms");
  return row?.oldest_ms;
}

/** Saves the age start of the oldest remaining event of a day; undefined deletes the row. */
export async function saveOldestOfDay(
  trx: Transaction,
  organizationId: OrganizationId,
  day: number,
  oldestMs: number | undefined,
): Promise<void> {
  const key = { organization_id: uuidToBytes(organizationId), day };
  if (oldestMs === undefined) {
    await trx("retention_days").where(key).delete();
    return;
  }
  const columns = ["organization_id", "day", "oldest_ms"];
  const row = [key.organization_id, day, oldestMs];
  await insertRows(trx, "retention_days", columns, [row], { overwrite: ["oldest_ms"] }, [
    "organization_id",
    "day",
  ]);
}

function fromRow(row: Row): Retention {
  return {
    organizationId: bytesToUuid(row.organization_id),
    rawEventDays: row.raw_event_days,
    aggregateDays: row.aggregate_days,
    completeSinceMs: row.complete_since_ms,
    updateMs: row.update_ms === 0 ? undefined : row.update_ms,
  };
}
