// Stores alert histories: every statement against `alert_profiles` and `alert_history`.
import { bytesToUuid, type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import { forUpdate, insertRows, type Queryable, type Transaction, type Value } from "@muster/db";
import { type KeyGroup, keyConditions } from "../event-storage/key-groups.ts";
import type { CellId } from "./history-cell.ts";

/** A root profile. */
export interface RootKey {
  readonly organizationId: OrganizationId;
  readonly rootId: ProfileId;
}

/** The locked row of a root profile: arrival numbers continue after `lastArrival`. */
export interface LockedHistory extends RootKey {
  readonly lastArrival: number;
  /** Set once the profile took part in a merge. Only then can the root have merged profiles. */
  readonly wasMerged: boolean;
}

const PROFILE_COLUMNS = ["organization_id", "profile_id", "last_arrival", "was_merged"];
const PROFILE_KEY = ["organization_id", "profile_id"];
const HISTORY_COLUMNS = ["organization_id", "profile_id", "cell", "content", "last_received_ms"];
const HISTORY_KEY = ["organization_id", "profile_id", "cell"];

/** Locks the rows of the root profiles until the transaction ends, in key order. */
export async function lockHistories(trx: Transaction, roots: readonly RootKey[]): Promise<LockedHistory[]> {
  const existing = await lockExisting(trx, roots);
  const existingIds = new Set(existing.map(({ rootId }) => rootId));
  const others = roots.filter(({ rootId }) => !existingIds.has(rootId));
  if (others.length === 0) return existing;
  // The insert also locks a row that another transaction created in the meantime.
  const rows = others.map(({ organizationId, rootId }): Value[] => [
    uuidToBytes(organizationId),
    uuidToBytes(rootId),
    0,
    0,
  ]);
  await insertRows(trx, "alert_profiles", PROFILE_COLUMNS, rows.sort(byKey(2)), "keep", PROFILE_KEY);
  return [...existing, ...(await lockExisting(trx, others))];
}

async function lockExisting(trx: Transaction, roots: readonly RootKey[]): Promise<LockedHistory[]> {
  const locked: LockedHistory[] = [];
  for (const [condition, bindings] of keyConditions(PROFILE_KEY, groupsOf(roots))) {
    const query = trx("alert_profiles").select<ProfileRow[]>(PROFILE_COLUMNS).whereRaw(condition, bindings);
    for (const row of await forUpdate(trx, query)) locked.push(historyFromRow(row));
  }
  return locked;
}

/** Saves the last arrival numbers and merge flags of locked root profiles. */
export async function saveArrivals(trx: Transaction, roots: readonly LockedHistory[]): Promise<void> {
  const rows = roots.map(({ organizationId, rootId, lastArrival, wasMerged }): Value[] => [
    uuidToBytes(organizationId),
    uuidToBytes(rootId),
    lastArrival,
    wasMerged ? 1 : 0,
  ]);
  await insertRows(
    trx,
    "alert_profiles",
    PROFILE_COLUMNS,
    rows.sort(byKey(2)),
    { overwrite: ["last_arrival", "was_merged"] },
    PROFILE_KEY,
  );
}

/**
 * Locks the histories before an identity change; `rootIds` are the roots before and after the change. Later
 * events are evaluated after all earlier events of both roots. Call this before locking the positions of
 * shards, as every ingest does.
 */
export async function lockAlertHistory(
  trx: Transaction,
  organizationId: OrganizationId,
  rootIds: readonly ProfileId[],
): Promise<void> {
  const roots = await lockHistories(
    trx,
    [...new Set(rootIds)].map((rootId) => ({ organizationId, rootId })),
  );
  const lastArrival = Math.max(0, ...roots.map((locked) => locked.lastArrival));
  await saveArrivals(
    trx,
    roots.map((locked) => ({ ...locked, lastArrival, wasMerged: true })),
  );
}

/** The cells to read for one profile. */
export interface RequestedCells {
  readonly organizationId: OrganizationId;
  readonly profileId: ProfileId;
  readonly cells: ReadonlySet<CellId>;
}

/** A cell as stored, with the encoded content. */
export interface StoredCell {
  readonly profileId: ProfileId;
  readonly id: CellId;
  readonly content: Buffer;
}

/** Yields cells without the organization, because profile ids are unique among organizations. */
export async function* readCells(
  db: Queryable,
  requested: Iterable<RequestedCells>,
): AsyncGenerator<StoredCell> {
  const groups = Array.from(
    requested,
    ({ organizationId, profileId, cells }): KeyGroup => ({
      fixed: [uuidToBytes(organizationId), uuidToBytes(profileId)],
      values: Array.from(cells, (id) => Buffer.from(id, "hex")),
    }),
  );
  for (const [condition, bindings] of keyConditions(HISTORY_KEY, groups)) {
    const rows = await db("alert_history")
      .select<{ profile_id: Buffer; cell: Buffer; content: Buffer }[]>("profile_id", "cell", "content")
      .whereRaw(condition, bindings);
    for (const row of rows) {
      const profileId = bytesToUuid<ProfileId>(row.profile_id);
      yield { profileId, id: row.cell.toString("hex"), content: row.content };
    }
  }
}

/** A cell to write. `lastReceivedMs` is the time of receipt of the last event in the cell. */
export interface ChangedCell extends StoredCell {
  readonly organizationId: OrganizationId;
  readonly lastReceivedMs: number;
}

/** Inserts or overwrites cells in key order. */
export async function saveCells(trx: Transaction, cells: readonly ChangedCell[]): Promise<void> {
  const rows = cells.map(({ organizationId, profileId, id, content, lastReceivedMs }): Value[] => [
    uuidToBytes(organizationId),
    uuidToBytes(profileId),
    Buffer.from(id, "hex"),
    content,
    lastReceivedMs,
  ]);
  const overwrite = { overwrite: ["content", "last_received_ms"] };
  await insertRows(trx, "alert_history", HISTORY_COLUMNS, rows.sort(byKey(3)), overwrite, HISTORY_KEY);
}

const PROFILE_BYTES = 16;

/** The key of a history cell, and the time of receipt of the last event in the cell. */
export interface HistoryCell {
  readonly profile_id: Buffer;
  readonly cell: Buffer;
  readonly last_received_ms: number;
}

/** Returns the position of a cell among the cells of the organization. */
export function keyOfCell({ profile_id, cell }: HistoryCell): Buffer {
  return Buffer.concat([profile_id, cell]);
}

/** Lists cells after the given key, in key order. */
export async function listHistory(
  db: Queryable,
  organizationId: OrganizationId,
  after: Buffer | undefined,
  limit: number,
): Promise<HistoryCell[]> {
  const query = db("alert_history")
    .select<HistoryCell[]>("profile_id", "cell", "last_received_ms")
    .where("organization_id", uuidToBytes(organizationId))
    .orderBy(["organization_id", "profile_id", "cell"])
    .limit(limit);
  if (after !== undefined) {
    const [profileId, cell] = [after.subarray(0, PROFILE_BYTES), after.subarray(PROFILE_BYTES)];
    // The second condition implies the first, but only the first bounds the key range.
    query
      .where("profile_id", ">=", profileId)
      .where((either) => either.where("profile_id", ">", profileId).orWhere("cell", ">", cell));
  }
  return query;
}

/** Deletes the cells that received no event since the horizon. A concurrent change prevents the deletion. */
export async function deleteHistory(
  trx: Transaction,
  organizationId: OrganizationId,
  cells: readonly HistoryCell[],
  horizonMs: number,
): Promise<number> {
  let deleted = 0;
  const byProfile = Map.groupBy(cells, ({ profile_id }) => profile_id.toString("latin1"));
  for (const [profileId, own] of byProfile) {
    deleted += await trx("alert_history")
      .where({ organization_id: uuidToBytes(organizationId), profile_id: Buffer.from(profileId, "latin1") })
      .whereIn(
        "cell",
        own.map(({ cell }) => cell),
      )
      .andWhere("last_received_ms", "<", horizonMs)
      .delete();
  }
  return deleted;
}

interface ProfileRow {
  readonly organization_id: Buffer;
  readonly profile_id: Buffer;
  readonly last_arrival: number;
  readonly was_merged: number;
}

function historyFromRow(row: ProfileRow): LockedHistory {
  return {
    organizationId: bytesToUuid<OrganizationId>(row.organization_id),
    rootId: bytesToUuid<ProfileId>(row.profile_id),
    lastArrival: Number(row.last_arrival),
    wasMerged: row.was_merged === 1,
  };
}

/** Groups by organization, ids in order. */
function groupsOf(roots: readonly RootKey[]): KeyGroup[] {
  const byOrganization = Map.groupBy(roots, ({ organizationId }) => organizationId);
  return Array.from(byOrganization)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([organizationId, own]) => ({
      fixed: [uuidToBytes(organizationId)],
      values: own
        .map(({ rootId }) => rootId)
        .sort()
        .map(uuidToBytes),
    }));
}

/** Compares rows by the first columns, which are the bytes of the key. */
function byKey(columnCount: number) {
  return (a: readonly Value[], b: readonly Value[]): number => {
    for (let column = 0; column < columnCount; column += 1) {
      const order = Buffer.compare(a[column] as Buffer, b[column] as Buffer);
      if (order !== 0) return order;
    }
    return 0;
  };
}
