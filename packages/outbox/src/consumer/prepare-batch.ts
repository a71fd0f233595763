// Lets the projection prepare the messages of a batch, and cuts the batch where the projection stopped.
import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";
import type { Projection } from "../ports/ports.ts";
import type { ShardBatch } from "./select-batch.ts";

/** Shards take turns, so that a costly message of one shard delays only later messages of the others. */
export async function prepareBatch(
  projection: Projection,
  batch: readonly ShardBatch[],
  signal: AbortSignal,
): Promise<readonly ShardBatch[]> {
  if (projection.prepare === undefined) return batch;
  const inTurn = messagesInTurn(batch);
  const prepared = await projection.prepare(
    inTurn.map(({ envelope }) => envelope),
    signal,
  );
  if (prepared >= inTurn.length) return batch;
  const envelopes = new Map<ShardBatch, Envelope[]>();
  for (const { shardBatch, envelope } of inTurn.slice(0, Math.max(1, prepared))) {
    envelopes.set(shardBatch, [...(envelopes.get(shardBatch) ?? []), envelope]);
  }
  return batch.flatMap((shardBatch) => {
    const own = envelopes.get(shardBatch);
    return own === undefined ? [] : [{ owned: shardBatch.owned, envelopes: own }];
  });
}

function messagesInTurn(
  batch: readonly ShardBatch[],
): { readonly shardBatch: ShardBatch; readonly envelope: Envelope }[] {
  const longest = Math.max(...batch.map(({ envelopes }) => envelopes.length));
  return Array.from({ length: longest }, (_, index) =>
    batch.flatMap((shardBatch) => {
      const envelope = shardBatch.envelopes[index];
      return envelope === undefined ? [] : [{ shardBatch, envelope }];
    }),
  ).flat();
}
