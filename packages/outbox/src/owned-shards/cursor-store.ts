// Holds every statement against shard_cursors and consumer_members: positions, leases and fencing tokens.
import { ALL_SHARDS } from "@muster/core";
import { forUpdate, forUpdateNoWait, insertRows, type Queryable, type Transaction } from "@muster/db";
import type { LeasePlan, LeaseRow } from "./lease-plan.ts";

/** Identifies a consumer of one producer. */
export interface ConsumerKey {
  readonly consumer: string;
  readonly source: string;
}

export interface CursorRow extends LeaseRow {
  readonly position: number;
  readonly itemsThrough: number;
  readonly fencingToken: number;
}

/** A step from one applied position to the next, valid only with the owner's fencing token. */
export interface CursorStep {
  readonly shard: number;
  readonly fencingToken: number;
  readonly from: number;
  readonly to: number;
  readonly itemsThrough: number;
}

interface StoredCursor {
  shard: number;
  position: number;
  items_through: number;
  fencing_token: number;
  owner: Buffer;
  lease_until_ms: number;
}

/** Inserts the missing rows of a consumer that may be new. Existing rows are not locked. */
export async function seedCursors(trx: Transaction, key: ConsumerKey): Promise<void> {
  const existing = await readCursors(trx, key);
  if (existing.length === ALL_SHARDS.length) return;
  const { consumer, source } = keyColumns(key);
  await insertRows(
    trx,
    "shard_cursors",
    ["consumer", "source", "shard", "position", "items_through", "fencing_token", "owner", "lease_until_ms"],
    ALL_SHARDS.map((shard) => [consumer, source, shard, 0, 0, 0, Buffer.alloc(0), 0]),
    "keep",
    ["consumer", "source", "shard"],
  );
}

export async function readCursors(db: Queryable, key: ConsumerKey): Promise<CursorRow[]> {
  return fromStored(await selectCursors(db, key));
}

/**
 * Whether all shards still have the given fencing tokens. If so, no other replica takes the shards before the
 * commit.
 */
export async function lockOwned(
  trx: Transaction,
  key: ConsumerKey,
  owned: readonly { readonly shard: number; readonly fencingToken: number }[],
): Promise<boolean> {
  const query = selectCursors(trx, key).whereIn(
    "shard",
    owned.map(({ shard }) => shard),
  );
  const rows: StoredCursor[] = await forUpdate(trx, query);
  const fencingTokens = new Map(rows.map((row) => [row.shard, row.fencing_token]));
  return owned.every(({ shard, fencingToken }) => fencingTokens.get(shard) === fencingToken);
}

/**
 * Advances all cursors. Returns false if a cursor has another fencing token or position; the caller then
 * rolls back.
 */
export async function advanceCursors(
  trx: Transaction,
  key: ConsumerKey,
  steps: readonly CursorStep[],
): Promise<boolean> {
  const sorted = [...steps].sort((a, b) => a.shard - b.shard);
  const cases = sorted.map(() => "when ? then ?").join(" ");
  const updated = await trx("shard_cursors")
    .where(keyColumns(key))
    .andWhere((any) => {
      for (const { shard, fencingToken, from } of sorted)
        any.orWhere({ shard, fencing_token: fencingToken, position: from });
    })
    .update({
      position: trx.raw(
        `case shard ${cases} end`,
        sorted.flatMap(({ shard, to }) => [shard, to]),
      ),
      items_through: trx.raw(
        `case shard ${cases} end`,
        sorted.flatMap(({ shard, itemsThrough }) => [shard, itemsThrough]),
      ),
    });
  return updated === sorted.length;
}

/** The owner of leases, and the end of the leases. */
export interface Lease {
  readonly owner: string;
  readonly untilMs: number;
}

/**
 * Renews and releases leases of `lease.owner`. Only rows of this owner are written, so that the locks of another
 * replica cannot delay the renewal.
 */
export async function renewLeases(
  trx: Transaction,
  key: ConsumerKey,
  plan: Pick<LeasePlan, "keep" | "release">,
  lease: Lease,
): Promise<void> {
  const rows = (shards: readonly number[]) =>
    trx("shard_cursors")
      .where({ ...keyColumns(key), owner: Buffer.from(lease.owner, "utf8") })
      .whereIn("shard", shards);
  if (plan.keep.length > 0) await rows(plan.keep).update({ lease_until_ms: lease.untilMs });
  if (plan.release.length > 0) {
    await rows(plan.release).update({ owner: Buffer.alloc(0), lease_until_ms: 0 });
  }
}

/**
 * Takes those of the shards that are still free, and returns their new rows. Taking a shard increases the fencing
 * token, so that the former owner cannot commit. Rejects at once when a transaction holds a row.
 */
export async function takeShards(
  trx: Transaction,
  key: ConsumerKey,
  shards: readonly number[],
  lease: Lease,
  isFree: (row: CursorRow) => boolean,
): Promise<CursorRow[]> {
  const stored: StoredCursor[] = await forUpdateNoWait(trx, selectCursors(trx, key).whereIn("shard", shards));
  const free = fromStored(stored).filter(isFree);
  if (free.length === 0) return [];
  await trx("shard_cursors")
    .where(keyColumns(key))
    .whereIn(
      "shard",
      free.map(({ shard }) => shard),
    )
    .update({
      owner: Buffer.from(lease.owner, "utf8"),
      lease_until_ms: lease.untilMs,
      fencing_token: trx.raw("fencing_token + 1"),
    });
  return free.map((row) => ({
    ...row,
    owner: lease.owner,
    leaseUntilMs: lease.untilMs,
    fencingToken: row.fencingToken + 1,
  }));
}

/** Marks this replica as alive, and returns the number of live members. */
export async function keepMembership(
  trx: Transaction,
  key: ConsumerKey,
  member: { readonly owner: string; readonly nowMs: number; readonly aliveUntilMs: number },
): Promise<number> {
  const { consumer, source } = keyColumns(key);
  await insertRows(
    trx,
    "consumer_members",
    ["consumer", "source", "owner", "alive_until_ms"],
    [[consumer, source, Buffer.from(member.owner, "utf8"), member.aliveUntilMs]],
    { overwrite: ["alive_until_ms"] },
    ["consumer", "source", "owner"],
  );
  const alive = await trx("consumer_members")
    .select("owner")
    .where({ consumer, source })
    .andWhere("alive_until_ms", ">", member.nowMs);
  return alive.length;
}

/** Removes one member, or with `deadBeforeMs` all members that were last alive before that time. */
export async function removeMembers(
  trx: Transaction,
  key: ConsumerKey,
  selection: { readonly owner: string } | { readonly deadBeforeMs: number },
): Promise<void> {
  const members = trx("consumer_members").where(keyColumns(key));
  if ("owner" in selection) members.andWhere("owner", Buffer.from(selection.owner, "utf8"));
  else members.andWhere("alive_until_ms", "<", selection.deadBeforeMs);
  await members.delete();
}

function selectCursors(db: Queryable, key: ConsumerKey) {
  return db("shard_cursors")
    .select<StoredCursor[]>("shard", "position", "items_through", "fencing_token", "owner", "lease_until_ms")
    .where(keyColumns(key))
    .orderBy("shard");
}

function fromStored(rows: readonly StoredCursor[]): CursorRow[] {
  return rows.map((row) => ({
    shard: row.shard,
    position: row.position,
    itemsThrough: row.items_through,
    fencingToken: row.fencing_token,
    owner: row.owner.toString("utf8"),
    leaseUntilMs: row.lease_until_ms,
  }));
}

export function keyColumns(key: ConsumerKey): { consumer: Buffer; source: Buffer } {
  return { consumer: Buffer.from(key.consumer, "utf8"), source: Buffer.from(key.source, "utf8") };
}
