// Tests the selection of a transaction's messages: consecutive, fair, bounded, and a failing message alone.
import { create } from "@bufbuild/protobuf";
import { EnvelopeSchema } from "@muster/contracts/muster/bus/v1/envelope_pb";
import { checkProperty } from "@muster/testkit/check-property";
import fc from "fast-check";
import { expect, it } from "vitest";
import { APPLY_ITEMS_MAX, APPLY_MESSAGES_MAX } from "../owned-shards/consumer-options.ts";
import { OwnedShard } from "../owned-shards/owned-shard.ts";
import { selectBatch } from "./select-batch.ts";

/** A shard applied up to 10 that holds messages of these sizes; undefined has not arrived. */
function shardWith(shard: number, sizes: readonly (number | undefined)[]): OwnedShard {
  const owned = new OwnedShard({ shard, fencingToken: 1, position: 10, itemsThrough: 1_000, monotonicMs: 0 });
  let through = 1_000;
  for (const [index, size] of sizes.entries()) {
    through += size ?? 7;
    if (size === undefined) continue;
    const position = BigInt(11 + index);
    owned.inbox.offer(create(EnvelopeSchema, { shard, position, itemsThrough: BigInt(through) }), undefined);
  }
  return owned;
}

const positionsOf = (batch: ReturnType<typeof selectBatch>["batch"]) =>
  batch.map(({ owned, envelopes }) => [
    owned.shard,
    ...envelopes.map((envelope) => Number(envelope.position)),
  ]);

it("stops at a gap, skips waiting shards, and isolates a failing message", () => {
  const gap = shardWith(0, [1, undefined, 1]);
  const waiting = shardWith(1, [1]);
  waiting.notBeforeMs = 100;
  const failingFirst = shardWith(2, [1, 1]);
  failingFirst.failingMessage = { position: 11, attempts: 1 };
  const failingLater = shardWith(3, [1, 1]);
  failingLater.failingMessage = { position: 12, attempts: 1 };
  const shards = [gap, waiting, failingFirst, failingLater];
  const { batch, isolatedBatches } = selectBatch(shards, 99);
  expect(positionsOf(batch)).toEqual([
    [0, 11],
    [3, 11],
  ]);
  expect(positionsOf(isolatedBatches)).toEqual([[2, 11]]);
  expect(positionsOf(selectBatch(shards, 100).batch)).toContainEqual([1, 11]);
  expect(gap.inbox.hasGap).toBe(true);
  expect(waiting.inbox.hasGap).toBe(false);
});

it("isolates blocked shards, the least often failed first, with one message after a failure", () => {
  const failed = shardWith(0, [1, 1]);
  Object.assign(failed, { isBlocked: true, failures: 2 });
  const blocked = shardWith(1, [1, 1]);
  blocked.isBlocked = true;
  const { batch, isolatedBatches } = selectBatch([failed, blocked, shardWith(2, [1])], 0);
  expect(positionsOf(batch)).toEqual([[2, 11]]);
  expect(positionsOf(isolatedBatches)).toEqual([
    [1, 11, 12],
    [0, 11],
  ]);
});

it("shares a transaction among shards instead of letting one fill it", () => {
  const full = Array.from({ length: 600 }, () => 10);
  const { batch } = selectBatch([shardWith(5, full), shardWith(4, full)], 0);
  expect(positionsOf(batch).map(([shard, ...positions]) => [shard, positions.length])).toEqual([
    [4, 100],
    [5, 100],
  ]);
});

it("always progresses, exceeds its limits only for one large message, and leaves no gap", async () => {
  const sizes = fc.array(fc.option(fc.integer({ min: 0, max: 2_500 }), { nil: undefined, freq: 8 }), {
    maxLength: 40,
  });
  await checkProperty(
    fc.property(fc.array(sizes, { minLength: 1, maxLength: 5 }), (all) => {
      const shards = all.map((one, shard) => shardWith(shard, one));
      const { batch } = selectBatch(shards, 0);
      const isPossible = all.some((one) => one[0] !== undefined);
      expect(batch.length > 0).toBe(isPossible);
      let items = 0;
      let messages = 0;
      for (const { owned, envelopes } of batch) {
        expect(envelopes.map((envelope) => Number(envelope.position))).toEqual(
          envelopes.map((_, index) => 11 + index),
        );
        items += Number(envelopes.at(-1)?.itemsThrough ?? 0n) - owned.inbox.itemsThrough;
        messages += envelopes.length;
      }
      expect(messages).toBeLessThanOrEqual(APPLY_MESSAGES_MAX + shards.length);
      if (messages > 1) expect(items).toBeLessThanOrEqual(APPLY_ITEMS_MAX);
    }),
  );
});
