// Tests the guarantees of every bus: ordered first deliveries, at least once, bounded in flight, and
// independent subscribers.
import { randomBytes } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { type Envelope, EnvelopeSchema } from "@muster/contracts/muster/bus/v1/envelope_pb";
import { randomIds, systemClock } from "@muster/core";
import { createLogger } from "@muster/log";
import { testNatsUrl, waitFor } from "@muster/testkit";
import { connect } from "nats";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Bus, Delivery, OutboxSource } from "./bus.ts";
import { EmbeddedBus } from "./embedded.ts";
import { JetStreamBus } from "./jetstream.ts";

const log = createLogger({ level: "silent" });
const clock = systemClock;
const namespace = `b${randomBytes(6).toString("hex")}`;

/** The committed messages of a producer. */
class ListSource implements OutboxSource {
  readonly envelopes: Envelope[] = [];
  isBroken = false;
  reads = 0;

  async read(shard: number, afterPosition: number, limit: number): Promise<Envelope[]> {
    this.reads += 1;
    if (this.isBroken) throw new Error("the database is away");
    return this.envelopes
      .filter((envelope) => envelope.shard === shard && Number(envelope.position) > afterPosition)
      .slice(0, limit);
  }
}

describe.each(["embedded", "JetStream"] as const)("%s bus", (kind) => {
  let bus: Bus;
  let source: ListSource;
  let service: string;
  const services: string[] = [];

  beforeAll(async () => {
    bus =
      kind === "embedded"
        ? new EmbeddedBus({ clock, log })
        : await JetStreamBus.connect({
            servers: [await testNatsUrl()],
            name: "bus-test",
            namespace,
            ackWaitMs: 2_000,
            clock,
            log,
          });
  });
  beforeEach(() => {
    service = `s${services.length}`;
    services.push(service);
    source = new ListSource();
    bus.attachSource(service, source);
  });
  afterAll(async () => {
    await bus.close();
    if (kind === "embedded") return;
    const connection = await connect({ servers: await testNatsUrl() });
    const manager = await connection.jetstreamManager();
    for (const name of services) {
      await manager.streams.delete(`${namespace}_${name}`.toUpperCase()).catch(() => false);
    }
    await connection.close();
  });

  async function publish(shard: number, ...positions: number[]): Promise<Envelope[]> {
    const envelopes = positions.map((position) =>
      create(EnvelopeSchema, {
        id: randomIds.next(clock.nowMs()),
        source: service,
        type: `muster.${service}.thing.made.v1`,
        shard,
        position: BigInt(position),
        data: Buffer.from([position % 256]),
      }),
    );
    source.envelopes.push(...envelopes);
    await bus.publish(envelopes);
    return envelopes;
  }

  function follow(
    consumer: string,
    options: { startAfter?: number; maxInFlight?: number; shard?: number } = {},
  ) {
    const deliveries: Delivery[] = [];
    const positions = (): number[] =>
      deliveries.map((delivery) => Number(delivery.envelope?.position ?? -1n));
    const subscribed = bus.subscribe({
      source: service,
      consumer,
      shard: options.shard ?? 0,
      startAfter: options.startAfter ?? 0,
      maxInFlight: options.maxInFlight ?? 10,
      onDelivery: (delivery) => deliveries.push(delivery),
    });
    return { deliveries, positions, subscribed };
  }

  it("delivers a shard's messages in order to every consumer, before and after it subscribed", async () => {
    await publish(0, 1, 2, 3);
    const [one, two, elsewhere] = [follow("one"), follow("two"), follow("three", { shard: 1 })];
    await publish(0, 4, 5);
    await waitFor(() => one.deliveries.length === 5 && two.deliveries.length === 5);
    expect(one.positions()).toEqual([1, 2, 3, 4, 5]);
    expect(two.positions()).toEqual([1, 2, 3, 4, 5]);
    expect(one.deliveries.every((delivery) => delivery.attempt === 1 && delivery.raw.length > 0)).toBe(true);
    await publish(1, 1);
    await waitFor(() => elsewhere.deliveries.length === 1);
    await publish(0, ...Array.from({ length: 200 }, (_, index) => index + 6));
    for (let acked = 0; acked < 205; ) {
      const delivery = await waitFor(() => one.deliveries[acked]);
      delivery.ack();
      acked += 1;
    }
    expect(one.positions()).toEqual(Array.from({ length: 205 }, (_, index) => index + 1));
  });

  it("keeps at most maxInFlight deliveries in flight, and redelivers naked messages", async () => {
    const { deliveries, positions } = follow("one", { maxInFlight: 3 });
    await publish(0, 1, 2, 3, 4, 5, 6);
    await waitFor(() => deliveries.length === 3);
    deliveries[1]?.nak(30);
    // Only the first ack or nak of a delivery counts.
    deliveries[1]?.ack();
    await waitFor(() => deliveries.length === 4);
    expect(positions()).toEqual([1, 2, 3, 2]);
    expect(deliveries[3]?.attempt).toBe(2);
    for (const index of [0, 2, 3]) deliveries[index]?.ack();
    await waitFor(() => deliveries.length === 7);
    expect(positions().slice(4)).toEqual([4, 5, 6]);
  });

  it("delivers to other subscribers although one throws or never acks", async () => {
    const failing = await bus.subscribe({
      source: service,
      consumer: "failing",
      shard: 0,
      startAfter: 0,
      maxInFlight: 2,
      onDelivery: () => {
        throw new Error("a defect");
      },
    });
    follow("idle", { maxInFlight: 1 });
    const { deliveries } = follow("busy");
    await publish(0, 1, 2, 3, 4, 5);
    await waitFor(() => deliveries.length === 5);
    await failing.close();
  });

  it("delivers nothing after close, and redelivers unacked messages to the next subscription", async () => {
    const first = follow("one");
    await publish(0, 1, 2, 3);
    await waitFor(() => first.deliveries.length === 3);
    first.deliveries[0]?.ack();
    await (await first.subscribed).close();
    await publish(0, 4);
    const second = follow("one", { startAfter: 1 });
    await waitFor(() => new Set(second.positions()).size === 3);
    expect([...new Set(second.positions())].sort()).toEqual([2, 3, 4]);
    expect(first.deliveries).toHaveLength(3);
  });

  it("carries half a megabyte", async () => {
    const { deliveries } = follow("one");
    const data = randomBytes(511 * 1024);
    const envelope = create(EnvelopeSchema, {
      id: randomIds.next(clock.nowMs()),
      source: service,
      type: `muster.${service}.thing.made.v1`,
      position: 1n,
      data,
    });
    source.envelopes.push(envelope);
    await bus.publish([envelope]);
    await waitFor(() => deliveries.length === 1);
    expect(data.equals(deliveries[0]?.envelope?.data ?? Buffer.alloc(0))).toBe(true);
  });

  it("delivers messages published after a purge, and none that it held before", async () => {
    await bus.purge(service, 0);
    await publish(0, 1, 2, 3);
    await publish(1, 1);
    await bus.purge(service, 0);
    await publish(0, 4);
    const [purged, other] = [follow("one"), follow("two", { shard: 1 })];
    await waitFor(() => purged.positions().includes(4) && other.deliveries.length === 1);
    // Without a broker the outbox alone holds messages, and nothing is purged.
    expect(purged.positions()).toEqual(kind === "embedded" ? [1, 2, 3, 4] : [4]);
  });

  it("continues for a consumer whose pending messages were purged", async () => {
    const { deliveries, positions } = follow("one", { maxInFlight: 2 });
    await publish(0, 1, 2, 3, 4);
    await waitFor(() => deliveries.length === 2);
    await bus.purge(service, 0);
    deliveries[0]?.ack();
    deliveries[1]?.ack();
    await publish(0, 5);
    for (let acked = 2; !positions().includes(5); acked += 1) {
      (await waitFor(() => deliveries[acked])).ack();
    }
  });

  it.runIf(kind === "embedded")("goes on reading once a broken outbox is whole again", async () => {
    source.isBroken = true;
    const { deliveries } = follow("one");
    await publish(0, 1, 2);
    source.isBroken = false;
    await waitFor(() => deliveries.length === 2);
  });

  it.runIf(kind === "embedded")("reads the outbox once for each published message", async () => {
    const { deliveries } = follow("one");
    await publish(0, 1);
    (await waitFor(() => deliveries[0])).ack();
    const before = source.reads;
    for (let position = 2; position <= 11; position += 1) {
      await publish(0, position);
      (await waitFor(() => deliveries[position - 1])).ack();
    }
    // The read that found no message after the first one may come late.
    expect(source.reads - before).toBeLessThanOrEqual(11);
  });

  it.runIf(kind === "JetStream")(
    "stores a message published twice once, and hands on what it can't decode",
    async () => {
      const { deliveries } = follow("one");
      const envelopes = await publish(0, 1);
      await bus.publish(envelopes);
      const connection = await connect({ servers: await testNatsUrl() });
      await connection
        .jetstream()
        .publish(`${namespace}.${service}.thing.made.v1.0`, Buffer.from([255, 255]));
      await connection.close();
      await waitFor(() => deliveries.length === 2);
      expect(deliveries.map((delivery) => delivery.envelope?.position)).toEqual([1n, undefined]);
      expect([...(deliveries[1]?.raw ?? [])]).toEqual([255, 255]);
    },
  );
});
