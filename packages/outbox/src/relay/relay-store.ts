// Holds every statement of the relay: its lease, its cursors, and the trimming of applied messages.
import { ALL_SHARDS } from "@muster/core";
import { insertRows, type Queryable, type Transaction } from "@muster/db";

const LEASE_ID = 1;

export interface PublishedHead {
  readonly shard: number;
  readonly position: number;
}

/**
 * Takes the lease until `untilMs`. Returns whether `owner` holds it; `byForce` takes it from any other owner.
 */
export async function takeRelayLease(
  trx: Transaction,
  lease: {
    readonly owner: string;
    readonly nowMs: number;
    readonly untilMs: number;
    readonly byForce: boolean;
  },
): Promise<boolean> {
  const owner = Buffer.from(lease.owner, "utf8");
  await trx("relay_lease")
    .where("id", LEASE_ID)
    .andWhere((free) => {
      free.where("owner", owner).orWhere("until_ms", "<=", lease.nowMs);
      if (lease.byForce) free.orWhere("id", LEASE_ID);
    })
    .update({ owner, until_ms: lease.untilMs });
  // Read back, because a driver may count only rows that changed.
  const rows = await trx("relay_lease").select("id").where({ id: LEASE_ID, owner });
  return rows.length > 0;
}

export async function freeRelayLease(trx: Transaction, owner: string): Promise<void> {
  await trx("relay_lease")
    .where({ id: LEASE_ID, owner: Buffer.from(owner, "utf8") })
    .update({ until_ms: 0 });
}

/** Returns the published position of each shard. */
export async function readPublished(db: Queryable): Promise<Map<number, number>> {
  const rows: { shard: number; published_position: number }[] = await db("relay_cursors").select(
    "shard",
    "published_position",
  );
  return new Map(rows.map((row) => [row.shard, row.published_position]));
}

/** Saves published positions. Cursors only rise, so a relay that has lost its lease does no harm. */
export async function savePublished(trx: Transaction, heads: readonly PublishedHead[]): Promise<void> {
  const sorted = [...heads].sort((a, b) => a.shard - b.shard);
  const cases = sorted.map(() => "when ? then ?").join(" ");
  await trx("relay_cursors")
    .where((any) => {
      for (const { shard, position } of sorted) {
        any.orWhere((one) => one.where("shard", shard).andWhere("published_position", "<", position));
      }
    })
    .update({
      published_position: trx.raw(
        `case shard ${cases} end`,
        sorted.flatMap(({ shard, position }) => [shard, position]),
      ),
    });
}

/**
 * Deletes up to `limit` of the shard's first messages that are old enough, published, and applied by every
 * registered consumer. Returns the number of deleted messages.
 */
export async function trimShard(
  trx: Transaction,
  trim: { readonly shard: number; readonly writtenBeforeMs: number; readonly limit: number },
): Promise<number> {
  const { shard } = trim;
  const published: { published_position: number }[] = await trx("relay_cursors")
    .select("published_position")
    .where({ shard });
  const applied: { position: number }[] = await trx("outbox_consumers").select("position").where({ shard });
  const passed = Math.min(published[0]?.published_position ?? 0, ...applied.map((row) => row.position));
  const rows: { position: number; time_ms: number }[] = await trx("outbox_messages")
    .select("position", "time_ms")
    .where("shard", shard)
    .andWhere("position", "<=", passed)
    .orderBy("position")
    .limit(trim.limit);
  // Only a prefix is deleted, so that the remaining messages stay gapless.
  const young = rows.findIndex((row) => row.time_ms >= trim.writtenBeforeMs);
  const old = young === -1 ? rows : rows.slice(0, young);
  const last = old.at(-1);
  if (last === undefined) return 0;
  await trx("outbox_messages").where("shard", shard).andWhere("position", "<=", last.position).delete();
  return old.length;
}

/** Inserts the initial rows of the relay and the positions. Safe to run again. */
export async function seedOutbox(trx: Transaction): Promise<void> {
  await insertRows(
    trx,
    "shard_positions",
    ["shard", "position", "items"],
    ALL_SHARDS.map((shard) => [shard, 0, 0]),
    "keep",
    ["shard"],
  );
  await insertRows(
    trx,
    "relay_cursors",
    ["shard", "published_position"],
    ALL_SHARDS.map((shard) => [shard, 0]),
    "keep",
    ["shard"],
  );
  await insertRows(
    trx,
    "relay_lease",
    ["id", "owner", "until_ms"],
    [[LEASE_ID, Buffer.alloc(0), 0]],
    "keep",
    ["id"],
  );
}
