// Reads the pending work of a list of shards in a single statement: the only query of an idle owner.
import type { Queryable } from "@muster/db";
import { SWEPT_EXITS_MIN } from "../memberships/segment-count-store.ts";

/** Pending work of the shards, by kind. */
export interface PendingWork {
  /** The due time of each shard's first profile; shards without due profiles are missing. */
  readonly dueTimes: Map<number, number>;
  readonly hasRebuilds: boolean;
  readonly hasPurges: boolean;
  readonly hasSweeps: boolean;
}

/** Costs an index lookup for each shard's due time, and a lookup for each other kind of work. */
export async function readPendingWork(db: Queryable, shards: readonly number[]): Promise<PendingWork> {
  const dueTimes = new Map<number, number>();
  if (shards.length === 0) return { dueTimes, hasRebuilds: false, hasPurges: false, hasSweeps: false };
  const firstDueTimes = shards.map((shard) =>
    db("profile_states").min("next_due_at").where("shard", shard).as(`due_${shard}`),
  );
  const firstShardOf = (table: string) =>
    db(table)
      .select("shard")
      .whereIn("shard", [...shards])
      .limit(1)
      .as(table);
  const sweepable = db("segment_counts")
    .select("shard")
    .whereIn("shard", [...shards])
    .andWhere("exits", ">=", SWEPT_EXITS_MIN)
    .limit(1)
    .as("segment_counts");
  const [row]: Record<string, number | null>[] = await db.select([
    ...firstDueTimes,
    firstShardOf("segment_backfills"),
    firstShardOf("profile_rebuilds"),
    firstShardOf("segment_purges"),
    sweepable,
  ]);
  const isPending = (column: string): boolean => typeof row?.[column] === "number";
  for (const shard of shards) {
    const dueMs = row?.[`due_${shard}`];
    if (typeof dueMs === "number") dueTimes.set(shard, dueMs);
  }
  return {
    dueTimes,
    hasRebuilds: isPending("segment_backfills") || isPending("profile_rebuilds"),
    hasPurges: isPending("segment_purges"),
    hasSweeps: isPending("segment_counts"),
  };
}
