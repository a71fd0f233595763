// Stores the sums of the summing projection: the rows show every message that was repeated, lost or out of
// order.
import { systemClock } from "@muster/core";
import { type Database, forUpdate, insertRows, type Queryable, type Transaction } from "@muster/db";

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

/** Locks rows as a process does that stops inside its transaction, until `released`. */
export async function holdLocks(
  database: Database,
  table: "sums" | "shard_cursors",
  shard: number,
  released: Promise<void>,
  locked: () => void,
): Promise<void> {
  let isReleased = false;
  void released.then(() => {
    isReleased = true;
  });
  await database.transaction(
    async (trx) => {
      await forUpdate(trx, trx(table).select("shard").where({ shard }));
      locked();
      while (!isReleased) {
        await systemClock.sleep(50);
        await trx.raw("SELECT 1");
      }
    },
    { isLong: true },
  );
}

/** Returns the shards whose lease has expired at `nowMs`. */
export async function expiredLeases(db: Queryable, nowMs: number): Promise<number[]> {
  return db("shard_cursors").where("lease_until_ms", "<", nowMs).orderBy("shard").pluck<number[]>("shard");
}
