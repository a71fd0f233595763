// Selects the messages of the next transaction. Pure.
import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";
import { APPLY_ITEMS_MAX, APPLY_MESSAGES_MAX } from "../owned-shards/consumer-options.ts";
import type { OwnedShard } from "../owned-shards/owned-shard.ts";

/** Consecutive messages of one shard, starting after its applied position. */
export interface ShardBatch {
  readonly owned: OwnedShard;
  readonly envelopes: Envelope[];
}

/**
 * Takes messages of all shards in turn until the transaction is full, so that no shard waits for the backlog
 * of another. `isolatedBatches` holds what runs in a separate transaction: a message that failed before, and the
 * messages of a blocked shard. Shards that failed less often come first.
 */
export function selectBatch(
  shards: readonly OwnedShard[],
  monotonicMs: number,
): { readonly batch: ShardBatch[]; readonly isolatedBatches: ShardBatch[] } {
  const isolatedBatches: ShardBatch[] = [];
  const due = shards.filter((owned) => owned.notBeforeMs <= monotonicMs);
  for (const owned of due.filter(({ isBlocked }) => isBlocked)) {
    const [alone] = selectBatchOf([owned], isolatedBatches);
    if (alone === undefined) continue;
    // A transaction that still takes too long has too many messages.
    if (owned.failures > 0) alone.envelopes.splice(1);
    isolatedBatches.push(alone);
  }
  const batch = selectBatchOf(
    due.filter(({ isBlocked }) => !isBlocked),
    isolatedBatches,
  );
  isolatedBatches.sort((a, b) => a.owned.failures - b.owned.failures);
  return { batch: batch.sort((a, b) => a.owned.shard - b.owned.shard), isolatedBatches };
}

function selectBatchOf(shards: readonly OwnedShard[], isolatedBatches: ShardBatch[]): ShardBatch[] {
  const shardBatches: ShardBatch[] = [];
  let open: ShardBatch[] = shards.map((owned) => ({ owned, envelopes: [] }));
  let items = 0;
  let messages = 0;
  while (open.length > 0 && messages < APPLY_MESSAGES_MAX) {
    const still: ShardBatch[] = [];
    for (const shardBatch of open) {
      const { inbox, failingMessage } = shardBatch.owned;
      const position = inbox.applied + shardBatch.envelopes.length + 1;
      const envelope = inbox.at(position);
      if (envelope === undefined) continue;
      if (failingMessage?.position === position) {
        if (shardBatch.envelopes.length === 0)
          isolatedBatches.push({ owned: shardBatch.owned, envelopes: [envelope] });
        continue;
      }
      const itemsMore = inbox.itemsOf(position);
      // A message larger than the limit is applied too, but alone.
      if (messages > 0 && items + itemsMore > APPLY_ITEMS_MAX) continue;
      if (shardBatch.envelopes.length === 0) shardBatches.push(shardBatch);
      shardBatch.envelopes.push(envelope);
      items += itemsMore;
      messages += 1;
      still.push(shardBatch);
    }
    open = still;
  }
  return shardBatches;
}
