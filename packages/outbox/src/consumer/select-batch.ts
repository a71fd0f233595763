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
 * of another. A message that failed before goes alone, in `suspects`.
 */
export function selectBatch(
  shards: readonly OwnedShard[],
  monotonicMs: number,
): { readonly batch: ShardBatch[]; readonly isolatedBatches: ShardBatch[] } {
  const isolatedBatches: ShardBatch[] = [];
  const shardBatches: ShardBatch[] = [];
  let open: ShardBatch[] = shards
    .filter((owned) => owned.notBeforeMs <= monotonicMs)
    .map((owned) => ({ owned, envelopes: [] }));
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
  return { batch: shardBatches.sort((a, b) => a.owned.shard - b.owned.shard), isolatedBatches };
}
