// Every statement against `shard_epochs`. A shard's epoch grows with whatever changes who is who among the
// people announced in it: a merge, its undoing, an erasure.
import { assert, SHARD_COUNT } from "@muster/core";
import { selectPrepared, type Transaction } from "@muster/db";

/** One for each shard. */
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
 * Invariant: the transaction holds the positions of these shards. Whatever was decided by who was who before
 * is then either committed, and so announced before what this transaction announces, or is decided again.
 */
export async function bumpEpochs(trx: Transaction, shards: readonly number[]): Promise<void> {
  if (shards.length === 0) return;
  const sorted = [...new Set(shards)].sort((a, b) => a - b);
  const bumped = await trx("shard_epochs").whereIn("shard", sorted).increment("epoch", 1);
  assert(bumped === sorted.length, "shard_epochs lacks a shard; its migration has not run");
}
