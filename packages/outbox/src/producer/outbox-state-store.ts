// Reads the state of an outbox: the positions that are committed, published, and applied by each consumer.
import type { Queryable } from "@muster/db";
import { byShard, zeros } from "./outbox-store.ts";

/** State of all shards at one instant; arrays are indexed by shard. */
export interface OutboxState {
  readonly positions: readonly number[];
  readonly items: readonly number[];
  readonly published: readonly number[];
  readonly applied: ReadonlyMap<string, { readonly positions: number[]; readonly items: number[] }>;
}

export async function readState(db: Queryable): Promise<OutboxState> {
  // Cursors and consumers first: read after the positions, they could be ahead of them.
  const cursors: { shard: number; published_position: number }[] = await db("relay_cursors").select(
    "shard",
    "published_position",
  );
  const consumers: { consumer: Buffer; shard: number; position: number; items_through: number }[] = await db(
    "outbox_consumers",
  ).select("consumer", "shard", "position", "items_through");
  const positions: { shard: number; position: number; items: number }[] = await db("shard_positions").select(
    "shard",
    "position",
    "items",
  );
  const applied = new Map<string, { positions: number[]; items: number[] }>();
  for (const row of consumers) {
    const name = row.consumer.toString("utf8");
    const shards = applied.get(name) ?? { positions: zeros(), items: zeros() };
    shards.positions[row.shard] = row.position;
    shards.items[row.shard] = row.items_through;
    applied.set(name, shards);
  }
  return {
    positions: byShard(positions, (row) => row.position),
    items: byShard(positions, (row) => row.items),
    published: byShard(cursors, (row) => row.published_position),
    applied,
  };
}

/** Returns when the oldest unpublished message was written; undefined if every message is published. */
export async function readOldestUnpublishedMs(
  db: Queryable,
  state: OutboxState,
): Promise<number | undefined> {
  const heads = state.published
    .map((published, shard) => ({ shard, position: published + 1 }))
    .filter(({ shard, position }) => position <= (state.positions[shard] ?? 0));
  if (heads.length === 0) return undefined;
  const rows: { time_ms: number }[] = await db("outbox_messages")
    .select("time_ms")
    .where((any) => {
      for (const head of heads) any.orWhere(head);
    });
  return rows.length === 0 ? undefined : Math.min(...rows.map((row) => row.time_ms));
}
