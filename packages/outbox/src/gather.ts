// Selects the messages of the next transaction. Pure.
import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";
import { FOLD_ITEMS_MAX, FOLD_MESSAGES_MAX } from "./consumer-options.ts";
import type { OwnedShard } from "./owned-shard.ts";

/** Consecutive messages of one shard, starting after its applied position. */
export interface Picked {
  readonly owned: OwnedShard;
  readonly envelopes: Envelope[];
}

/**
 * Takes messages of all shards in turn until the transaction is full, so that no shard waits for the backlog
 * of another. A message that failed before goes alone, in `suspects`.
 */
export function gather(
  shards: readonly OwnedShard[],
  monotonicMs: number,
): { readonly batch: Picked[]; readonly suspects: Picked[] } {
  const suspects: Picked[] = [];
  const picks: Picked[] = [];
  let open: Picked[] = shards
    .filter((owned) => owned.notBeforeMs <= monotonicMs)
    .map((owned) => ({ owned, envelopes: [] }));
  let items = 0;
  let messages = 0;
  while (open.length > 0 && messages < FOLD_MESSAGES_MAX) {
    const still: Picked[] = [];
    for (const pick of open) {
      const { inbox, suspect } = pick.owned;
      const position = inbox.folded + pick.envelopes.length + 1;
      const envelope = inbox.at(position);
      if (envelope === undefined) continue;
      if (suspect?.position === position) {
        if (pick.envelopes.length === 0) suspects.push({ owned: pick.owned, envelopes: [envelope] });
        continue;
      }
      const itemsMore = inbox.itemsOf(position);
      // A message larger than the limit is applied too, but alone.
      if (messages > 0 && items + itemsMore > FOLD_ITEMS_MAX) continue;
      if (pick.envelopes.length === 0) picks.push(pick);
      pick.envelopes.push(envelope);
      items += itemsMore;
      messages += 1;
      still.push(pick);
    }
    open = still;
  }
  return { batch: picks.sort((a, b) => a.owned.shard - b.owned.shard), suspects };
}
