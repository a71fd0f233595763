// Reads the pending work of a list of shards in a single statement: the only query of an idle owner.
import type { Queryable } from "@muster/db";
import { SWEPT_EXITS_MIN } from "../memberships/left-rows-store.ts";

/** Pending work of the shards, by kind. */
export interface Outlook {
  /** The due time of each shard's first profile; shards without due profiles are missing. */
  readonly dues: Map<number, number>;
  readonly hasDerivations: boolean;
  readonly hasPurges: boolean;
  readonly hasSweeps: boolean;
}

/** Costs an index lookup for each shard's due time, and a lookup for each other kind of work. */
export async function readOutlook(db: Queryable, shards: readonly number[]): Promise<Outlook> {
  const dues = new Map<number, number>();
  if (shards.length === 0) return { dues, hasDerivations: false, hasPurges: false, hasSweeps: false };
  const firstDues = shards.map((shard) =>
    db("profile_states").min("next_due_at").where("shard", shard).as(`due_${shard}`),
  );
  const waiting = (table: string) =>
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
    ...firstDues,
    waiting("segment_backfills"),
    waiting("profile_derivations"),
    waiting("segment_purges"),
    sweepable,
  ]);
  const isThere = (column: string): boolean => typeof row?.[column] === "number";
  for (const shard of shards) {
    const dueMs = row?.[`due_${shard}`];
    if (typeof dueMs === "number") dues.set(shard, dueMs);
  }
  return {
    dues,
    hasDerivations: isThere("segment_backfills") || isThere("profile_derivations"),
    hasPurges: isThere("segment_purges"),
    hasSweeps: isThere("segment_counts"),
  };
}
