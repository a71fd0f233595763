// Holds every statement against `shard_epochs`. The identity version of a shard grows with each change of the
// identity graph that is published in the shard: a merge, an undone merge, an erasure.
import { assert, SHARD_COUNT } from "@muster/core";
import { selectPrepared, type Transaction } from "@muster/db";

/** One identity version per shard. */
export type Epochs = readonly number[];

export async function readEpochs(trx: Transaction): Promise<Epochs> {
  const rows = await selectPrepared<{ shard: number; epoch: number }>(
    trx,
    "select shard, epoch from shard_epochs",
    [],
  );
  const epochs = new Array<number>(SHARD_COUNT).fill(0);
  for (const { shard, epoch } of rows) epochs[shard] = Number(epoch);
  return epochs;
}

/**
 * Increments the versions of the shards. Invariant: the transaction holds the positions of these shards. A
 * transaction that used the previous identity graph has therefore committed and published before this one, or
 * will detect the new version and run again.
 */
export async function bumpEpochs(trx: Transaction, shards: readonly number[]): Promise<void> {
  if (shards.length === 0) return;
  const sorted = [...new Set(shards)].sort((a, b) => a - b);
  const bumped = await trx("shard_epochs").whereIn("shard", sorted).increment("epoch", 1);
  assert(bumped === sorted.length, "shard_epochs lacks a shard; its migration has not run");
}
