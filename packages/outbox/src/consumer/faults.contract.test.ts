// Tests replicas of a consumer while the broker is away, and while a stopped process holds row locks.
import { systemClock } from "@muster/core";
import { waitFor } from "@muster/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  draft,
  OutboxHarness,
  PAIRS,
  type Producer,
  type Replica,
  totalOf,
} from "../testing/outbox-harness.ts";
import { expiredLeases, holdLocks, readOwners, readSums } from "../testing/sums-store.ts";

describe.each(PAIRS)("faults on %s", (pair) => {
  let harness: OutboxHarness;
  let producer: Producer;

  beforeEach(async () => {
    harness = await OutboxHarness.open(pair);
    producer = await harness.newProducer();
    await producer.relay.start();
  });
  afterEach(() => harness.close());

  const putEverywhere = async (value: number): Promise<void> => {
    const drafts = Array.from({ length: 16 }, (_, shard) => draft(shard, value));
    await harness.producing.database.transaction((trx) => producer.outbox.append(trx, drafts));
    producer.outbox.committed();
  };
  const owned = (replica: Replica): number => replica.consumer.ownedShards().length;
  const twoReplicas = async (): Promise<[Replica, Replica]> => {
    const pairOfReplicas: [Replica, Replica] = [
      await harness.newReplica(producer.outbox),
      await harness.newReplica(producer.outbox),
    ];
    for (const { consumer } of pairOfReplicas) await consumer.start();
    await waitFor(() => pairOfReplicas.every((replica) => owned(replica) === 8));
    return pairOfReplicas;
  };

  it("without a broker, a reader reaches the owners of all shards through the database", async () => {
    const replicas = await twoReplicas();
    for (const { bus } of [...replicas, producer]) bus.isAway = true;
    for (let round = 1; round <= 3; round += 1) {
      await putEverywhere(1);
      const positions = await producer.outbox.positions();
      for (const { consumer } of replicas) {
        expect(await consumer.waitForApplied(positions, { timeoutMs: 5_000 })).toBe(true);
      }
    }
    expect(totalOf(await readSums(harness.consuming.database.reader))).toBe(48);
  });

  it.runIf(pair === "mysql + JetStream")("a locked row delays only the shard of the row", async () => {
    // Without a pause after failures, every shard is always due, so that only separate transactions help.
    const { consumer } = await harness.newReplica(producer.outbox, { timings: { retryMs: 0 } });
    await consumer.start();
    await putEverywhere(1);
    await harness.waitUntilApplied(producer.outbox);
    const { locked, release, held } = await lock("sums", 3);
    await locked;
    const applied = async (times: number): Promise<number[]> => {
      const sums = await readSums(harness.consuming.database.reader);
      return sums.filter(({ messages }) => messages === times).map(({ shard }) => shard);
    };
    for (const times of [2, 3]) {
      await putEverywhere(10);
      await waitFor(async () => (await applied(times)).length === 15, { timeoutMs: 15_000 });
      expect(await applied(1)).toEqual([3]);
    }
    release();
    await held;
    expect(totalOf(await harness.waitUntilApplied(producer.outbox, 15_000))).toBe(16 * 21);
  });

  it.runIf(pair === "mysql + JetStream")(
    "a locked cursor delays neither renewals nor the takeover of other shards",
    async () => {
      const [a, b] = await twoReplicas();
      const [blocked] = a.consumer.ownedShards();
      const { locked, release, held } = await lock("shard_cursors", blocked ?? 0);
      await locked;
      await a.kill();
      const { reader } = harness.consuming.database;
      await waitFor(() => owned(b) === 15, { timeoutMs: 15_000 });
      // A second without another expired lease. A machine that stands still lets all expire, but not for long.
      let times = 0;
      await waitFor(async () => {
        const expired = await expiredLeases(reader, systemClock.nowMs());
        times = expired.length === 1 && expired[0] === blocked ? times + 1 : 0;
        await systemClock.sleep(100);
        return times === 10;
      });
      release();
      await held;
      await waitFor(() => owned(b) === 16);
      expect(new Set(await readOwners(reader))).toEqual(new Set([b.instanceId]));
    },
  );

  async function lock(table: "sums" | "shard_cursors", shard: number) {
    const database = await harness.consuming.openAnother();
    const locked = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    const held = holdLocks(database, table, shard, released.promise, () => locked.resolve());
    return { locked: locked.promise, release: () => released.resolve(), held };
  }
});
