// Holds every statement against closed_organizations: the ids of erased organizations, which never come back.
import { bytesToUuid, type OrganizationId, uuidToBytes } from "@muster/core";
import { insertRows, type Queryable, type Transaction } from "@muster/db";

export interface ClosedOrganization {
  readonly organizationId: OrganizationId;
  readonly closeTimeMs: number;
  /** Finished sweeps. */
  readonly sweeps: number;
  /** When the next sweep is due, or when the lease of the running sweep ends. */
  readonly nextSweepMs: number;
}

interface Row {
  readonly organization_id: Buffer;
  readonly close_time_ms: number;
  readonly sweeps: number;
  readonly next_sweep_ms: number;
}

const TABLE = "closed_organizations";
const COLUMNS = ["organization_id", "close_time_ms", "sweeps", "next_sweep_ms"] as const;

/** A repeated call changes nothing. */
export async function insertClosedOrganization(
  trx: Transaction,
  organizationId: OrganizationId,
  nowMs: number,
): Promise<void> {
  await insertRows(trx, TABLE, COLUMNS, [[uuidToBytes(organizationId), nowMs, 0, nowMs]], "keep", [
    "organization_id",
  ]);
}

export async function findClosedOrganization(
  db: Queryable,
  organizationId: OrganizationId,
): Promise<Omit<ClosedOrganization, "nextSweepMs"> | undefined> {
  const rows = await db(TABLE).select<Row[]>(COLUMNS).where("organization_id", uuidToBytes(organizationId));
  return rows.map(fromRow)[0];
}

/** Organizations with a due sweep, or with an interrupted sweep. */
export async function listDueOrganizations(
  db: Queryable,
  nowMs: number,
  limit: number,
): Promise<ClosedOrganization[]> {
  const rows = await db(TABLE)
    .select<Row[]>(COLUMNS)
    .where("next_sweep_ms", "<=", nowMs)
    .orderBy(["next_sweep_ms", "organization_id"])
    .limit(limit);
  return rows.map(fromRow);
}

/** False when a different worker has taken the sweep. */
export async function leaseSweep(
  trx: Transaction,
  { organizationId, sweeps, nextSweepMs }: ClosedOrganization,
  untilMs: number,
): Promise<boolean> {
  const leased = await trx(TABLE)
    .where({ organization_id: uuidToBytes(organizationId), sweeps, next_sweep_ms: nextSweepMs })
    .update({ next_sweep_ms: untilMs });
  return leased === 1;
}

export async function renewSweep(
  trx: Transaction,
  { organizationId, sweeps }: ClosedOrganization,
  untilMs: number,
): Promise<void> {
  await trx(TABLE)
    .where({ organization_id: uuidToBytes(organizationId), sweeps })
    .whereNotNull("next_sweep_ms")
    .update({ next_sweep_ms: untilMs });
}

/** `nextSweepMs` is undefined after the last sweep. */
export async function finishSweep(
  trx: Transaction,
  { organizationId, sweeps }: ClosedOrganization,
  nextSweepMs: number | undefined,
): Promise<void> {
  await trx(TABLE)
    .where({ organization_id: uuidToBytes(organizationId), sweeps })
    .update({ sweeps: sweeps + 1, next_sweep_ms: nextSweepMs ?? null });
}

function fromRow(row: Row): ClosedOrganization {
  return {
    organizationId: bytesToUuid(row.organization_id),
    closeTimeMs: row.close_time_ms,
    sweeps: row.sweeps,
    nextSweepMs: row.next_sweep_ms,
  };
}
