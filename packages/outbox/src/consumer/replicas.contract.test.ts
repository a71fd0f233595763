// Tests several replicas of a consumer: even shares, takeover, waiting in a replica that applies nothing, and
// dead letters.
import { create, toBinary } from "@bufbuild/protobuf";
import { EnvelopeSchema } from "@muster/contracts/muster/bus/v1/envelope_pb";
import { AssertionError, systemClock, uuidToBytes } from "@muster/core";
import { testNatsUrl, waitFor } from "@muster/testkit";
import { connect } from "nats";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { listDeadLetters, requestReplay } from "../dead-letters/dead-letter-store.ts";
import { LostOwnership } from "../owned-shards/ownership.ts";
import { type OwnedShards, PoisonMessage } from "../ports/ports.ts";
import {
  append,
  CONSUMER,
  OutboxHarness,
  PAIRS,
  type Producer,
  type Replica,
  SERVICE,
  totalOf,
} from "../testing/outbox-harness.ts";
import { addToSum, readOwners, readSum } from "../testing/sums-store.ts";

describe.each(PAIRS)("replicas on %s", (pair) => {
  let harness: OutboxHarness;
  let producer: Producer;

  beforeEach(async () => {
    harness = await OutboxHarness.open(pair);
    producer = await harness.newProducer();
    await producer.relay.start();
  });
  afterEach(() => harness.close());

  const put = (shard: number, ...values: number[]) =>
    append(producer.outbox, harness.producing.database, shard, ...values);
  const putEverywhere = async (value: number): Promise<void> => {
    for (let shard = 0; shard < 16; shard += 1) await put(shard, value);
  };
  const owned = (replica: Replica): number => replica.consumer.ownedShards().length;

  it("shares shards evenly, and releases them when a replica stops", async () => {
    const [a, b, c] = [
      await harness.newReplica(producer.outbox),
      await harness.newReplica(producer.outbox),
      await harness.newReplica(producer.outbox),
    ];
    await a.consumer.start();
    expect(owned(a)).toBe(16);
    await putEverywhere(1);
    await b.consumer.start();
    await waitFor(() => owned(a) === 8 && owned(b) === 8);
    await c.consumer.start();
    await waitFor(() => [a, b, c].every((replica) => owned(replica) >= 4 && owned(replica) <= 6));
    await putEverywhere(10);
    await harness.waitUntilApplied(producer.outbox);
    await a.consumer.stop();
    expect(await readOwners(harness.consuming.database.reader)).not.toContain(a.instanceId);
    await waitFor(() => owned(b) === 8 && owned(c) === 8);
    await putEverywhere(100);
    expect(totalOf(await harness.waitUntilApplied(producer.outbox))).toBe(16 * 111);
  });

  it("takes over the shards of dead replicas once their leases have expired", async () => {
    const [a, b] = [await harness.newReplica(producer.outbox), await harness.newReplica(producer.outbox)];
    await a.consumer.start();
    await b.consumer.start();
    await waitFor(() => owned(a) === 8 && owned(b) === 8);
    await putEverywhere(1);
    await harness.waitUntilApplied(producer.outbox);
    await a.kill();
    await putEverywhere(10);
    await waitFor(() => owned(b) === 16);
    expect(totalOf(await harness.waitUntilApplied(producer.outbox))).toBe(16 * 11);
  });

  it("resolves in every replica when positions are applied, and when they are not in time", async () => {
    const [a, b] = [await harness.newReplica(producer.outbox), await harness.newReplica(producer.outbox)];
    await a.consumer.start();
    await b.consumer.start();
    await waitFor(() => owned(a) === 8 && owned(b) === 8);
    const gate = Promise.withResolvers<void>();
    for (const { projection } of [a, b]) projection.beforeApply = () => gate.promise;
    await putEverywhere(1);
    const positions = await producer.outbox.positions();
    expect(await a.consumer.waitForApplied(positions, { timeoutMs: 60 })).toBe(false);
    const gone = new AbortController();
    const abandoned = b.consumer.waitForApplied(positions, { timeoutMs: 60_000, signal: gone.signal });
    gone.abort();
    expect(await abandoned).toBe(false);
    expect(await b.consumer.waitForApplied([], { timeoutMs: 0 })).toBe(true);

    const waits = [a, b].map(({ consumer }) => consumer.waitForApplied(positions, { timeoutMs: 10_000 }));
    gate.resolve();
    expect(await Promise.all(waits)).toEqual([true, true]);
    expect(await a.consumer.positions()).toEqual(positions);
    const beyond = positions.map((position) => position + 1);
    expect(await b.consumer.waitForApplied(beyond, { timeoutMs: 100 })).toBe(false);
  });

  it("reads from the producer what a reader waits for and the bus does not deliver", async () => {
    const { consumer, bus } = await harness.newReplica(producer.outbox);
    bus.loses = () => true;
    await consumer.start();
    await put(3, 1);
    expect(await consumer.waitForApplied(await producer.outbox.positions(), { timeoutMs: 5_000 })).toBe(true);
  });

  it("moves a message to the dead letters after five failures, continues, and replays it on request", async () => {
    const { database } = harness.consuming;
    const { consumer, projection } = await harness.newReplica(producer.outbox);
    let isPoisonous = true;
    let attempts = 0;
    projection.beforeApply = (messages) => {
      for (const message of messages) {
        if (message.shard !== 6 || message.position !== 3n || !isPoisonous) continue;
        if (messages.length === 1) attempts += 1;
        if (attempts % 2 === 1) throw new PoisonMessage(message, new Error("cannot be decoded"));
        throw new AssertionError("cannot be");
      }
    };
    await consumer.start();
    await put(6, 1, 10, 100, 1000);
    await put(7, 5);
    const sums = await harness.waitUntilApplied(producer.outbox);
    expect(totalOf(sums)).toBe(1016);
    expect(attempts).toBe(5);
    expect(projection.deadLettered).toEqual([{ shard: 6, position: 3 }]);
    const [deadLetter, ...others] = await listDeadLetters(database.reader, { limit: 10, openOnly: true });
    expect(others).toEqual([]);
    expect(deadLetter).toMatchObject({
      consumer: CONSUMER,
      source: SERVICE,
      shard: 6,
      position: 3,
      attempts: 5,
    });
    expect(deadLetter?.error).toContain("cannot be decoded");

    const id = deadLetter?.id ?? "";
    const replayed = async () => {
      const [found] = await listDeadLetters(database.reader, { limit: 1 });
      return found?.replayRequestedMs === undefined ? found : undefined;
    };
    // Still a poison message: the request ends with the error.
    expect(await database.transaction((trx) => requestReplay(trx, id, 1))).toBe(true);
    expect(await waitFor(replayed)).toMatchObject({ replayedMs: undefined, attempts: 6 });
    isPoisonous = false;
    expect(await database.transaction((trx) => requestReplay(trx, id, 1))).toBe(true);
    expect((await waitFor(replayed)).replayedMs).toBeGreaterThan(0);
    expect((await readSum(database.reader, 6))?.total).toBe(1111);
    expect(await database.transaction((trx) => requestReplay(trx, id, 1))).toBe(false);
    expect(await listDeadLetters(database.reader, { limit: 10, openOnly: true })).toEqual([]);
  });

  it("runs background work between batches, and commits it only while it owns the shards", async () => {
    const { database } = harness.consuming;
    const a = await harness.newReplica(producer.outbox, { exclusive: true });
    const calls: number[][] = [];
    let nextMs = Number.POSITIVE_INFINITY;
    a.projection.onWork = async (owned) => {
      calls.push([...owned.shards]);
      await owned.transaction([owned.shards[0] ?? 0], (trx) => addToSum(trx, 15, 1, calls.length));
      return nextMs;
    };
    await a.consumer.start();
    await waitFor(() => calls.length === 1);
    expect(calls[0]).toHaveLength(16);
    a.consumer.wake();
    await waitFor(() => calls.length === 2);
    // Runs at its time, without any message.
    nextMs = 0;
    a.projection.onWork = async () => {
      calls.push([]);
      return calls.length < 10 ? systemClock.nowMs() + 10 : Number.POSITIVE_INFINITY;
    };
    a.consumer.wake();
    await waitFor(() => calls.length === 10);
    await put(1, 5);
    await waitFor(() => calls.length === 11);
    expect(a.projection.overlaps).toBe(0);

    // A transaction of the former owner rolls back.
    let view: OwnedShards | undefined;
    a.projection.onWork = async (owned) => {
      view = owned;
      return Number.POSITIVE_INFINITY;
    };
    a.consumer.wake();
    await waitFor(() => view !== undefined);
    const b = await harness.newReplica(producer.outbox, { exclusive: true });
    await b.consumer.start();
    const before = await readSum(database.reader, 15);
    const late = view?.transaction([4, 15], (trx) => addToSum(trx, 15, 1000, 3));
    await expect(late).rejects.toThrow(LostOwnership);
    expect(await readSum(database.reader, 15)).toEqual(before);
  });

  it("brings broadcasts to every process exactly once, and survives a handler that throws", async () => {
    const [a, b] = [await harness.newBus(), await harness.newBus()];
    const received: string[] = [];
    a.onBroadcast("topic.one", () => {
      throw new Error("a handler's own trouble");
    });
    const stops = [a, b].map((bus, index) =>
      bus.onBroadcast("topic.one", (payload) => received.push(`${index}:${Buffer.from(payload)}`)),
    );
    a.onBroadcast("topic.two", () => received.push("wrong topic"));
    // Until both receive broadcasts: a new subscription takes a moment to reach the broker.
    await waitFor(() => {
      a.broadcast("topic.one", Buffer.from("hello"));
      return received.includes("0:hello") && received.includes("1:hello");
    });
    a.broadcast("topic.one", Buffer.from("last"));
    await waitFor(() => received.filter((text) => text.endsWith("last")).length >= 2);
    for (const stop of stops) stop();
    b.onBroadcast("topic.end", () => received.push("end"));
    a.broadcast("topic.one", Buffer.from("after"));
    await waitFor(() => {
      a.broadcast("topic.end", Buffer.alloc(0));
      return received.includes("end");
    });
    expect(received.filter((text) => text.endsWith("last")).sort()).toEqual(["0:last", "1:last"]);
    expect(received.some((text) => text.endsWith("after") || text === "wrong topic")).toBe(false);
  });

  it.runIf(pair === "mysql + JetStream")(
    "moves bytes that are not an envelope to the dead letters, and applies the intended message",
    async () => {
      const { consumer, projection } = await harness.newReplica(producer.outbox);
      await consumer.start();
      await put(2, 1);
      await harness.waitUntilApplied(producer.outbox);
      const broker = await connect({ servers: await testNatsUrl() });
      const subject = `${harness.namespace}.${SERVICE}.tracked_event.recorded.v1.2`;
      const jetStream = broker.jetstream();
      await jetStream.publish(subject, Buffer.from("garbage"));
      // An envelope of another shard under this shard's subject is rejected too.
      const foreign = create(EnvelopeSchema, { source: SERVICE, shard: 3, position: 9n });
      await jetStream.publish(subject, toBinary(EnvelopeSchema, foreign));
      await broker.close();
      await put(2, 10);
      expect(totalOf(await harness.waitUntilApplied(producer.outbox))).toBe(11);
      const deadLetters = () => listDeadLetters(harness.consuming.database.reader, { limit: 10 });
      await waitFor(async () => (await deadLetters()).length === 2, { timeoutMs: 10_000 });
      expect(projection.deadLettered).toEqual([
        { shard: 2, position: undefined },
        { shard: 2, position: undefined },
      ]);
      expect((await deadLetters()).map(({ position }) => position)).toEqual([0, 0]);
      expect(uuidToBytes((await deadLetters())[0]?.id ?? "")).toHaveLength(16);
      // A replay of undecodable bytes ends with an error and is not retried.
      const [deadLetter] = await deadLetters();
      await harness.consuming.database.transaction((trx) => requestReplay(trx, deadLetter?.id ?? "", 1));
      await waitFor(async () => (await deadLetters()).some(({ attempts }) => attempts === 6));
    },
  );
});
