// Tests that messages are applied exactly once in effect: repeats, losses, delays and kills do not change the
// sums.
import { type Clock, systemClock } from "@muster/core";
import { waitFor } from "@muster/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { IN_FLIGHT_MAX } from "../owned-shards/consumer-options.ts";
import { append, draft, OutboxHarness, PAIRS, type Producer, totalOf } from "../testing/outbox-harness.ts";
import { readSum, readSums } from "../testing/sums-store.ts";

describe.each(PAIRS)("consumer on %s", (pair) => {
  let harness: OutboxHarness;
  let producer: Producer;

  beforeEach(async () => {
    harness = await OutboxHarness.open(pair);
    producer = await harness.newProducer();
  });
  afterEach(() => harness.close());

  const put = (shard: number, ...values: number[]) =>
    append(producer.outbox, harness.producing.database, shard, ...values);

  it("applies all messages in order while eight writers write", async () => {
    const { outbox, relay } = producer;
    const { consumer, projection } = await harness.newReplica(outbox);
    await relay.start();
    await consumer.start();
    const writer = async (seed: number): Promise<void> => {
      for (let turn = 0; turn < 25; turn += 1) await put((seed * 5 + turn) % 16, seed + 1, turn);
    };
    await Promise.all(Array.from({ length: 8 }, (_, seed) => writer(seed)));
    const sums = await harness.waitUntilApplied(outbox);
    expect(totalOf(sums)).toBe(36 * 25 + 300 * 8);
    expect(projection.overlaps).toBe(0);
    expect(await consumer.positions()).toEqual(await outbox.positions());
    expect(consumer.ownedShards()).toHaveLength(16);
    // The consumer reports to the producer, so the backlog is empty.
    await waitFor(() => outbox.backlogItems() === 0);
  });

  it("publishes messages that a crash left between commit and publish", async () => {
    const { database } = harness.producing;
    // The transaction has committed and the process died: nothing was broadcast and nothing was published.
    await database.transaction((trx) =>
      producer.outbox.append(trx, [draft(1, 10), draft(1, 20), draft(7, 5)]),
    );
    const { consumer } = await harness.newReplica(producer.outbox);
    await consumer.start();
    await producer.relay.start();
    expect(totalOf(await harness.waitUntilApplied(producer.outbox))).toBe(35);
  });

  it("drops messages published twice, by one relay again and by two at once", async () => {
    const { outbox } = producer;
    // Both relays hold the lease, by force.
    const relays = [
      await harness.newProducer({ exclusive: true }),
      await harness.newProducer({ exclusive: true }),
    ];
    const { consumer } = await harness.newReplica(outbox);
    for (const { relay } of relays) await relay.start();
    await consumer.start();
    for (let value = 1; value <= 20; value += 1) await put(value % 3, value);
    await harness.waitUntilApplied(outbox);
    await producer.bus.publish(await outbox.read(1, 0, 100));
    await put(1, 1000);
    expect(totalOf(await harness.waitUntilApplied(outbox))).toBe(1210);
  });

  it("drops messages delivered again after a crash between commit and ack", async () => {
    const { outbox, relay } = producer;
    const first = await harness.newReplica(outbox);
    first.bus.losesAcks = true;
    await relay.start();
    await first.consumer.start();
    await put(4, 1, 2, 3);
    expect(totalOf(await harness.waitUntilApplied(outbox))).toBe(6);
    await first.kill();
    const second = await harness.newReplica(outbox);
    await second.consumer.start();
    await put(4, 10);
    expect(totalOf(await harness.waitUntilApplied(outbox))).toBe(16);
  });

  it("continues at once although the bus still waits for the acks of a dead owner", async () => {
    const { outbox, relay } = producer;
    const first = await harness.newReplica(outbox);
    first.bus.losesAcks = true;
    first.producer.isDown = true;
    await relay.start();
    await first.consumer.start();
    await put(4, ...Array.from({ length: IN_FLIGHT_MAX + 8 }, () => 1));
    await waitFor(async () => (await readSum(harness.consuming.database.reader, 4))?.total === IN_FLIGHT_MAX);
    await first.kill();
    const second = await harness.newReplica(outbox, { timings: { handoverMs: 60_000 } });
    await second.consumer.start();
    expect(totalOf(await harness.waitUntilApplied(outbox))).toBe(IN_FLIGHT_MAX + 8);
    await put(4, 100);
    expect(totalOf(await harness.waitUntilApplied(outbox))).toBe(IN_FLIGHT_MAX + 108);
  });

  it("reads from the producer what the bus has lost, and waits for a producer that is down", async () => {
    const { outbox, relay } = producer;
    const replica = await harness.newReplica(outbox);
    replica.bus.loses = (envelope) => envelope.position === 2n || envelope.position === 3n;
    await replica.consumer.start();
    await waitFor(() => replica.producer.reads >= 16);
    replica.producer.isDown = true;
    await relay.start();
    await put(5, 1, 10, 100, 1000);
    await waitFor(async () => (await readSum(harness.consuming.database.reader, 5))?.total === 1);
    await waitFor(() => replica.bus.deliveries >= 2);
    expect((await readSum(harness.consuming.database.reader, 5))?.lastPosition).toBe(1);
    replica.producer.isDown = false;
    expect(totalOf(await harness.waitUntilApplied(outbox))).toBe(1111);
  });

  it("detects that the bus has lost the last message of a shard", async () => {
    const { outbox, relay } = producer;
    const replica = await harness.newReplica(outbox, { timings: { quietMs: 100 } });
    replica.bus.loses = () => true;
    await relay.start();
    await replica.consumer.start();
    await put(6, 1, 2);
    expect(totalOf(await harness.waitUntilApplied(outbox))).toBe(3);
  });

  it("aborts the transaction of an owner whose fencing token is stale", async () => {
    const { outbox, relay } = producer;
    const stale = await harness.newReplica(outbox, { exclusive: true });
    await stale.consumer.start();
    const entered = Promise.withResolvers<void>();
    const proceed = Promise.withResolvers<void>();
    // On SQLite there is one writer, so the old owner can only come too late. On MySQL the new owner
    // overtakes it in the middle of its transaction.
    if (pair === "mysql + JetStream") {
      stale.projection.beforeApply = async () => {
        entered.resolve();
        await proceed.promise;
      };
      await relay.start();
      await put(2, 7, 8);
      await entered.promise;
    }
    // The bus delivers to the old owner only; the new owner reads from the producer.
    const successor = await harness.newReplica(outbox, { exclusive: true, timings: { quietMs: 100 } });
    await successor.consumer.start();
    await relay.start();
    await put(2, 100);
    await harness.waitUntilApplied(outbox);
    proceed.resolve();
    await put(2, 1000);
    await harness.waitUntilApplied(outbox);
    // The old owner tried to commit, failed, and gave the shards up.
    await waitFor(async () => /apply_failures_total\{[^}]*\} [1-9]/.test(await stale.metrics.text()));
    await waitFor(() => stale.consumer.ownedShards().length === 0);
    await put(2, 10_000);
    const values = pair === "mysql + JetStream" ? 11_115 : 11_100;
    expect(totalOf(await harness.waitUntilApplied(outbox))).toBe(values);
    expect(successor.consumer.ownedShards()).toHaveLength(16);
  });

  it("moves a message to the dead letters for its own failures only, not for a dependency's", async () => {
    const { outbox, relay } = producer;
    const { consumer, projection } = await harness.newReplica(outbox);
    let failures = 0;
    projection.beforeApply = (messages) => {
      if (!messages.some((message) => message.shard === 3)) return;
      failures += 1;
      if (failures <= 7) throw new Error("the dependency is down");
    };
    await relay.start();
    await consumer.start();
    await put(3, 1);
    await put(8, 1);
    // Other shards continue meanwhile.
    await waitFor(async () => (await readSum(harness.consuming.database.reader, 8))?.total === 1);
    await waitFor(async () => (await readSum(harness.consuming.database.reader, 3))?.total === 1, {
      timeoutMs: 12_000,
    });
    expect(failures).toBeGreaterThan(7);
    expect(projection.deadLettered).toEqual([]);
  });

  it("runs a retry that becomes due in the middle of a pass", async () => {
    const { outbox, relay } = producer;
    let jumpsMs = 0;
    // Each read of the clock is later than the one before, by more than a retry waits.
    const clock: Clock = {
      ...systemClock,
      monotonicMs() {
        jumpsMs += 40;
        return systemClock.monotonicMs() + jumpsMs;
      },
    };
    const { consumer, projection } = await harness.newReplica(outbox, { clock, timings: { quietMs: 1e9 } });
    let failures = 0;
    projection.beforeApply = () => {
      failures += 1;
      if (failures <= 2) throw new Error("the dependency is down");
    };
    await relay.start();
    await consumer.start();
    await put(3, 1);
    expect(totalOf(await harness.waitUntilApplied(outbox))).toBe(1);
    expect(failures).toBe(3);
  });

  it("applies at most two thousand items at once, but also a larger message", async () => {
    const { outbox, relay } = producer;
    const { consumer, projection } = await harness.newReplica(outbox);
    const itemsAtOnce: number[] = [];
    const through = new Map<number, number>();
    projection.afterApply = (messages) => {
      let items = 0;
      for (const { shard, itemsThrough } of messages) {
        items += Number(itemsThrough) - (through.get(shard) ?? 0);
        through.set(shard, Number(itemsThrough));
      }
      itemsAtOnce.push(items);
    };
    const drafts = Array.from({ length: 60 }, (_, index) => draft(index % 4, 1, 450));
    await harness.producing.database.transaction((trx) => outbox.append(trx, [...drafts, draft(1, 1, 3000)]));
    await relay.start();
    await consumer.start();
    expect(totalOf(await harness.waitUntilApplied(outbox))).toBe(61);
    expect(Math.max(...itemsAtOnce)).toBe(3000);
    expect(itemsAtOnce.filter((items) => items > 2000)).toEqual([3000]);
    expect(itemsAtOnce.some((items) => items >= 900)).toBe(true);
  });

  it("applies only the messages that the projection has prepared, shards in turn, and the rest later", async () => {
    const { outbox, relay } = producer;
    const { consumer, projection } = await harness.newReplica(outbox);
    const prepared: string[][] = [];
    const applied: string[][] = [];
    const namesOf = (messages: readonly { shard: number; position: bigint }[]) =>
      messages.map(({ shard, position }) => `${shard}/${position}`);
    let fails = 1;
    projection.onPrepare = async (messages) => {
      if (fails > 0 && messages.length > 2) {
        fails -= 1;
        throw new Error("the reader is down");
      }
      prepared.push(namesOf(messages));
      return Math.min(3, messages.length);
    };
    projection.beforeApply = (messages) => void applied.push(namesOf(messages));
    await put(1, 1, 2, 3, 4);
    await put(2, 10, 20, 30, 40);
    await consumer.start();
    await relay.start();
    expect(totalOf(await harness.waitUntilApplied(outbox))).toBe(110);
    for (const [index, names] of applied.entries()) {
      expect([...names].sort()).toEqual(prepared[index]?.slice(0, 3).sort());
    }
    // With messages of both shards waiting, no shard fills the part alone.
    for (const names of prepared.filter((one) => one.length > 3)) {
      const shards = new Set(names.slice(0, 2).map((name) => name.split("/")[0]));
      if (new Set(names.map((name) => name.split("/")[0])).size === 2) expect(shards.size).toBe(2);
    }
    expect(fails).toBe(0);
  });

  it("continues after the relay and the bus were down", async () => {
    const { outbox, relay, bus } = producer;
    const { consumer, producer: producerPort } = await harness.newReplica(outbox);
    producerPort.isDown = true;
    bus.publishFails = true;
    await relay.start();
    await consumer.start();
    await put(1, 1, 2);
    await waitFor(async () => /publish_failures_total\{[^}]*\} [1-9]/.test(await harness.metrics.text()));
    expect(await readSums(harness.consuming.database.reader)).toEqual([]);
    bus.publishFails = false;
    expect(totalOf(await harness.waitUntilApplied(outbox))).toBe(3);
  });
});
