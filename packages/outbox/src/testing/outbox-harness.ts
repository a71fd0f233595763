// Runs a producer and its consumers on a pair of adapters (database and bus), for the contract suite.
import { randomBytes } from "node:crypto";
import type { Bus } from "@muster/bus";
import { EmbeddedBus } from "@muster/bus/embedded";
import { JetStreamBus } from "@muster/bus/jetstream";
import { assert, type Clock, randomIds, systemClock } from "@muster/core";
import type { Database } from "@muster/db";
import { createLogger, type Logger } from "@muster/log";
import { Metrics } from "@muster/metrics";
import { openTestDatabase, type TestDatabase, testNatsUrl, waitFor } from "@muster/testkit";
import { connect } from "nats";
import { ShardConsumer } from "../consumer/shard-consumer.ts";
import type { ConsumerTimings } from "../owned-shards/consumer-options.ts";
import type { OutboxDraft } from "../ports/ports.ts";
import { Outbox } from "../producer/outbox.ts";
import { OutboxRelay, type RelayTimings } from "../relay/outbox-relay.ts";
import { FaultyBus, FaultyProducer } from "./faulty-ports.ts";
import { SummingProjection } from "./summing-projection.ts";
import { readSums, type Sum } from "./sums-store.ts";

export type Pair = "sqlite + embedded bus" | "mysql + JetStream";
export const PAIRS: readonly Pair[] = ["sqlite + embedded bus", "mysql + JetStream"];

export const SERVICE = "events";
export const CONSUMER = "sums";
const TYPE = "muster.events.tracked_event.recorded.v1";
/** Short, so that deaths and retries take little time in tests. */
const TIMINGS = {
  leaseMs: 900,
  leaseTickMs: 100,
  reportMs: 20,
  quietMs: 60_000,
  handoverMs: 0,
  retryMs: 20,
};

export interface Replica {
  readonly consumer: ShardConsumer;
  readonly projection: SummingProjection;
  readonly bus: FaultyBus;
  readonly producer: FaultyProducer;
  readonly database: Database;
  readonly instanceId: string;
  readonly metrics: Metrics;
  /**
   * Cuts the replica off from bus and database, as a kill does: shards stay leased and work stays unfinished.
   */
  kill(): Promise<void>;
}

export interface Producer {
  readonly outbox: Outbox;
  readonly relay: OutboxRelay;
  readonly bus: FaultyBus;
}

export class OutboxHarness {
  readonly pair: Pair;
  readonly log: Logger = createLogger({ level: "silent" });
  readonly metrics = new Metrics();
  readonly namespace = `t${randomBytes(6).toString("hex")}`;
  readonly producing: TestDatabase;
  readonly consuming: TestDatabase;
  readonly #embedded: EmbeddedBus;
  readonly #buses: Bus[] = [];
  readonly #workers: { stop(): Promise<void> }[] = [];
  #names = 0;

  private constructor(pair: Pair, producing: TestDatabase, consuming: TestDatabase) {
    this.pair = pair;
    this.producing = producing;
    this.consuming = consuming;
    this.#embedded = new EmbeddedBus({ clock: systemClock, log: this.log });
    this.#buses.push(this.#embedded);
  }

  static async open(pair: Pair): Promise<OutboxHarness> {
    const engine = pair === "mysql + JetStream" ? "mysql" : "sqlite";
    const migrations = new URL("./migrations/", import.meta.url);
    const [producing, consuming] = await Promise.all([
      openTestDatabase(engine, migrations),
      openTestDatabase(engine, migrations),
    ]);
    return new OutboxHarness(pair, producing, consuming);
  }

  async close(): Promise<void> {
    for (const worker of this.#workers.reverse()) await worker.stop();
    await Promise.all(this.#buses.map((bus) => bus.close()));
    await Promise.all([this.producing.close(), this.consuming.close()]);
    if (this.pair === "mysql + JetStream") await deleteStream(`${this.namespace}_${SERVICE}`.toUpperCase());
  }

  async newBus(): Promise<Bus> {
    if (this.pair === "sqlite + embedded bus") return this.#embedded;
    const bus = await JetStreamBus.connect({
      servers: [await testNatsUrl()],
      name: "outbox-test",
      namespace: this.namespace,
      clock: systemClock,
      log: this.log,
    });
    this.#buses.push(bus);
    return bus;
  }

  async newOutbox(database: Database = this.producing.database): Promise<Outbox> {
    const outbox = new Outbox({
      ...this.#common(new FaultyBus(await this.newBus())),
      service: SERVICE,
      database,
    });
    await outbox.start();
    this.#workers.push(outbox);
    return outbox;
  }

  async newProducer(
    options: { timings?: Partial<RelayTimings>; exclusive?: boolean } = {},
  ): Promise<Producer> {
    const bus = new FaultyBus(await this.newBus());
    const { database } = this.producing;
    const outbox = new Outbox({ ...this.#common(bus), service: SERVICE, database });
    const relay = new OutboxRelay({
      ...this.#common(bus),
      service: SERVICE,
      database,
      outbox,
      exclusive: options.exclusive ?? false,
      timings: { pollMs: 50, leaseMs: 500, ...options.timings },
    });
    await outbox.start();
    this.#workers.push(outbox, relay);
    return { outbox, relay, bus };
  }

  async newReplica(
    outbox: Outbox,
    options: { exclusive?: boolean; timings?: Partial<ConsumerTimings>; clock?: Clock } = {},
  ): Promise<Replica> {
    const own = await this.newBus();
    const bus = new FaultyBus(own);
    const producer = new FaultyProducer(outbox);
    const projection = new SummingProjection();
    const database = await this.consuming.openAnother();
    const metrics = new Metrics();
    const common = { ...this.#common(bus), metrics };
    const consumer = new ShardConsumer({
      ...common,
      source: SERVICE,
      consumer: CONSUMER,
      producer,
      projection,
      database,
      clock: options.clock ?? systemClock,
      exclusive: options.exclusive ?? false,
      timings: { ...TIMINGS, ...options.timings },
    });
    this.#workers.push(consumer);
    const kill = async (): Promise<void> => {
      bus.losesAcks = true;
      producer.isDown = true;
      bus.loses = () => false;
      await database.close();
      if (this.pair === "mysql + JetStream") await own.close();
    };
    return { consumer, projection, bus, producer, database, instanceId: common.instanceId, metrics, kill };
  }

  /** Returns the sums once every position of the outbox is applied. */
  async waitUntilApplied(outbox: Outbox, timeoutMs = 8_000): Promise<Sum[]> {
    const wanted = await outbox.positions();
    return waitFor(
      async () => {
        const sums = await readSums(this.consuming.database.reader);
        const last = new Map(sums.map((sum) => [sum.shard, sum.lastPosition]));
        return wanted.every((position, shard) => (last.get(shard) ?? 0) >= position) ? sums : undefined;
      },
      { timeoutMs, what: "all messages to be applied" },
    );
  }

  #common(bus: FaultyBus) {
    this.#names += 1;
    const { log, metrics } = this;
    return { bus, clock: systemClock, ids: randomIds, log, metrics, instanceId: `instance-${this.#names}` };
  }
}

/** Appends one message per value in a transaction of its own. */
export async function append(
  outbox: Outbox,
  database: Database,
  shard: number,
  ...values: number[]
): Promise<void> {
  await database.transaction((trx) =>
    outbox.append(
      trx,
      values.map((value) => draft(shard, value)),
    ),
  );
  outbox.committed();
}

export function draft(shard: number, value: number, items = 1): OutboxDraft {
  return { shard, type: TYPE, data: Buffer.from(String(value)), items, traceParent: "" };
}

/** Returns the total of all shards, and asserts that no message was applied out of order. */
export function totalOf(sums: readonly Sum[]): number {
  let total = 0;
  for (const sum of sums) {
    assert(sum.disorder === 0, `shard ${sum.shard} was applied out of order`);
    total += sum.total;
  }
  return total;
}

async function deleteStream(name: string): Promise<void> {
  const connection = await connect({ servers: await testNatsUrl() });
  const manager = await connection.jetstreamManager();
  await manager.streams.delete(name).catch(() => false);
  await connection.close();
}
