// Stores the sums of the summing projection: the rows show every message that was repeated, lost or out of
// order.
import { insertRows, type Queryable, type Transaction } from "@muster/db";

export interface Sum {
  readonly shard: number;
  readonly total: number;
  readonly messages: number;
  readonly disorder: number;
  readonly lastPosition: number;
}

/**
 * Adds a value, and counts a position that does not follow the last one. The count is in the row, so that a
 * rollback undoes it.
 */
export async function addToSum(
  trx: Transaction,
  shard: number,
  value: number,
  position: number,
): Promise<void> {
  const last = (await readSum(trx, shard))?.lastPosition ?? 0;
  await insertRows(
    trx,
    "sums",
    ["shard", "total", "messages", "disorder", "last_position"],
    [[shard, value, 1, position === last + 1 ? 0 : 1, position]],
    { add: ["total", "messages", "disorder"], overwrite: ["last_position"] },
    ["shard"],
  );
}

export async function readSums(db: Queryable): Promise<Sum[]> {
  const rows: (Omit<Sum, "lastPosition"> & { last_position: number })[] = await db("sums")
    .select("shard", "total", "messages", "disorder", "last_position")
    .orderBy("shard");
  return rows.map(({ last_position, ...row }) => ({ ...row, lastPosition: last_position }));
}

export async function readSum(db: Queryable, shard: number): Promise<Sum | undefined> {
  return (await readSums(db)).find((sum) => sum.shard === shard);
}

/** Returns the number of rows in the outbox of one shard. */
export async function countMessages(db: Queryable, shard: number): Promise<number> {
  return (await db("outbox_messages").select("position").where({ shard })).length;
}

/** Returns the owners of the shards according to the table. */
export async function readOwners(db: Queryable): Promise<string[]> {
  const rows: { owner: Buffer }[] = await db("shard_cursors").select("owner").orderBy("shard");
  return rows.map((row) => row.owner.toString("utf8"));
}
