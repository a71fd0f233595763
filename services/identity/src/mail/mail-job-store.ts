// Holds every statement against `mail_jobs`.
import { bytesToUuid, uuidToBytes } from "@muster/core";
import type { Transaction } from "@muster/db";
import type { MailKind } from "./texts/mail-kind.ts";

const TABLE = "mail_jobs";
const STATES = { waiting: 0, dead: 1 } as const;
const NOTHING = Buffer.alloc(0);
/** Candidates of a claim. Other replicas rarely claim all candidates meanwhile. */
const CANDIDATES = 10;

export interface NewMailJob {
  readonly id: string;
  readonly kind: MailKind;
  readonly createTimeMs: number;
  readonly usefulUntilMs: number;
  readonly payload: Buffer;
  /** Keyed digest of the address. */
  readonly recipientKey: Buffer;
}

export interface MailJob extends Omit<NewMailJob, "kind" | "recipientKey"> {
  /** A later version may have written an unknown kind. */
  readonly kind: string;
  /** Attempts begun, including the current attempt. A later attempt ends the lease. */
  readonly attempts: number;
}

interface Row {
  readonly id: Buffer;
  readonly kind: Buffer;
  readonly attempts: number;
  readonly due_time_ms: number;
  readonly create_time_ms: number;
  readonly useful_until_ms: number;
}

/** The job is due at once, by any clock. */
export async function insertMailJob(trx: Transaction, job: NewMailJob): Promise<void> {
  await trx(TABLE).insert({
    id: uuidToBytes(job.id),
    kind: Buffer.from(job.kind),
    state: STATES.waiting,
    due_time_ms: 0,
    attempts: 0,
    create_time_ms: job.createTimeMs,
    useful_until_ms: job.usefulUntilMs,
    payload: job.payload,
    recipient_key: job.recipientKey,
    failure: null,
  });
}

/** Begins an attempt at a due job. Until `leaseEndMs`, other processes leave the job alone. */
export async function claimMailJob(
  trx: Transaction,
  nowMs: number,
  leaseEndMs: number,
): Promise<MailJob | undefined> {
  const rows = await trx(TABLE)
    .select<Row[]>("id", "kind", "attempts", "due_time_ms", "create_time_ms", "useful_until_ms")
    .where("state", STATES.waiting)
    .andWhere("due_time_ms", "<=", nowMs)
    .orderBy(["due_time_ms", "id"])
    .limit(CANDIDATES);
  for (const row of rows) {
    const { id, attempts } = row;
    const claimed = await trx(TABLE)
      .where({ id, attempts, state: STATES.waiting, due_time_ms: row.due_time_ms })
      .update({ attempts: attempts + 1, due_time_ms: leaseEndMs });
    if (claimed === 0) continue;
    const [payload = NOTHING] = await trx(TABLE).where({ id }).pluck<Buffer[]>("payload");
    return {
      id: bytesToUuid(id),
      kind: row.kind.toString(),
      attempts: attempts + 1,
      createTimeMs: row.create_time_ms,
      usefulUntilMs: row.useful_until_ms,
      payload,
    };
  }
  return undefined;
}

/** The mail was sent. */
export async function deleteMailJob(trx: Transaction, job: MailJob): Promise<void> {
  await leased(trx, job).delete();
}

export async function retryMailJob(
  trx: Transaction,
  job: MailJob,
  { dueMs, failure }: { readonly dueMs: number; readonly failure: string },
): Promise<void> {
  await leased(trx, job).update({ due_time_ms: dueMs, failure: Buffer.from(failure) });
}

/** The attempt was not made. */
export async function releaseMailJob(trx: Transaction, job: MailJob): Promise<void> {
  await leased(trx, job).update({ due_time_ms: 0, attempts: job.attempts - 1 });
}

/** Keeps the row for operators, without the content. False if another attempt has begun. */
export async function buryMailJob(
  trx: Transaction,
  job: MailJob,
  { deleteMs, failure }: { readonly deleteMs: number; readonly failure: string },
): Promise<boolean> {
  const buried = await leased(trx, job).update({
    state: STATES.dead,
    due_time_ms: deleteMs,
    payload: NOTHING,
    failure: Buffer.from(failure),
  });
  return buried === 1;
}

/**
 * Deletes at most `limit` jobs for an address, except for those of some kinds. Resolves to their number. A mail that is
 * being sent meanwhile is not sent again.
 */
export async function deleteMailJobsTo(
  trx: Transaction,
  recipientKey: Buffer,
  exceptKinds: readonly MailKind[],
  limit: number,
): Promise<number> {
  const ids = await trx(TABLE)
    .where("recipient_key", recipientKey)
    .whereNotIn("kind", exceptKinds.map(Buffer.from))
    .orderBy("id")
    .limit(limit)
    .pluck<Buffer[]>("id");
  if (ids.length > 0) await trx(TABLE).whereIn("id", ids).delete();
  return ids.length;
}

/** Deletes dead jobs whose time has come, at most `limit`. Resolves to their number. */
export async function deleteDeadMailJobs(trx: Transaction, nowMs: number, limit: number): Promise<number> {
  const ids = await trx(TABLE)
    .where("state", STATES.dead)
    .andWhere("due_time_ms", "<=", nowMs)
    .orderBy(["due_time_ms", "id"])
    .limit(limit)
    .pluck<Buffer[]>("id");
  if (ids.length > 0) await trx(TABLE).whereIn("id", ids.sort(Buffer.compare)).delete();
  return ids.length;
}

function leased(trx: Transaction, { id, attempts }: MailJob) {
  return trx(TABLE).where({ id: uuidToBytes(id), attempts, state: STATES.waiting });
}
