// Holds every statement against awaited_positions: the highest position of each shard that a reader waits for.
import { ALL_SHARDS } from "@muster/core";
import { insertRows, type Queryable, type Transaction } from "@muster/db";
import { type ConsumerKey, keyColumns } from "./cursor-store.ts";

export interface AwaitedPosition {
  readonly shard: number;
  readonly position: number;
}

/** Inserts the missing rows of a consumer that may be new. */
export async function seedAwaitedPositions(trx: Transaction, key: ConsumerKey): Promise<void> {
  const { consumer, source } = keyColumns(key);
  const existing = await trx("awaited_positions").select("shard").where({ consumer, source });
  if (existing.length === ALL_SHARDS.length) return;
  await insertRows(
    trx,
    "awaited_positions",
    ["consumer", "source", "shard", "position", "requested_ms"],
    ALL_SHARDS.map((shard) => [consumer, source, shard, 0, 0]),
    "keep",
    ["consumer", "source", "shard"],
  );
}

/** Saves requests. A lower position than the stored position is ignored. */
export async function saveAwaitedPositions(
  trx: Transaction,
  key: ConsumerKey,
  requests: readonly AwaitedPosition[],
  nowMs: number,
): Promise<void> {
  // In order of the shards, so that replicas do not deadlock.
  for (const { shard, position } of [...requests].sort((a, b) => a.shard - b.shard)) {
    await trx("awaited_positions")
      .where({ ...keyColumns(key), shard })
      .andWhere("position", "<=", position)
      .update({ position, requested_ms: nowMs });
  }
}

/** Returns the requests for the shards since `sinceMs`. */
export async function readAwaitedPositions(
  db: Queryable,
  key: ConsumerKey,
  shards: readonly number[],
  sinceMs: number,
): Promise<AwaitedPosition[]> {
  const rows: { shard: number; position: number }[] = await db("awaited_positions")
    .select("shard", "position")
    .where(keyColumns(key))
    .whereIn("shard", shards)
    .andWhere("requested_ms", ">=", sinceMs)
    .orderBy("shard");
  return rows.map(({ shard, position }) => ({ shard, position: Number(position) }));
}
