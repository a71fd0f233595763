// A shard consumer leases shards of one producer, applies domain events exactly once in effect, and reports
// the applied positions. The consuming service supplies only the projection.
import type { Delivery } from "@muster/bus";
import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";
import { assert, type BackoffPolicy, backoffMs } from "@muster/core";
import {
  ATTEMPTS_MAX,
  type ConsumerTimings,
  DEFAULT_CONSUMER_TIMINGS,
  IN_FLIGHT_MAX,
  type ShardConsumerOptions,
} from "../owned-shards/consumer-options.ts";
import { type CursorRow, readCursors } from "../owned-shards/cursor-store.ts";
import { OwnedShard } from "../owned-shards/owned-shard.ts";
import { leaseTopic, ShardLeases } from "../owned-shards/shard-leases.ts";
import { ThrottledCall } from "../ports/throttled-call.ts";
import { AppliedPositions, type WaitOptions } from "./applied-positions.ts";
import { ApplyLoop } from "./apply-loop.ts";
import { AwaitedPositions } from "./awaited-positions.ts";
import { PositionReporter } from "./position-reporter.ts";

/** Shortest time between two broadcasts of applied positions to other replicas. */
const NOTIFY_MS_MIN = 10;
/** Redeliveries of bytes that are not an envelope. */
const UNDECODABLE_BACKOFF: BackoffPolicy = { minMs: 50, maxMs: 1_000, jitter: "half" };
const NAME = /^[a-z][a-z0-9_-]{0,63}$/;

/** Consumes the domain events of one producer. A worker with `start` and `stop`. */
export class ShardConsumer {
  readonly name: string;
  readonly #options: ShardConsumerOptions;
  readonly #shards = new Map<number, OwnedShard>();
  readonly #leases: ShardLeases;
  readonly #loop: ApplyLoop;
  readonly #reporter: PositionReporter;
  readonly #applied: AppliedPositions;
  readonly #awaited: AwaitedPositions;
  readonly #notifyOthers: ThrottledCall;
  readonly #stopping = new AbortController();
  readonly #closing = new Set<Promise<void>>();
  #unsubscribe: (() => void)[] = [];
  #loops: Promise<unknown> | undefined;

  constructor(given: ShardConsumerOptions) {
    assert(
      NAME.test(given.consumer) && NAME.test(given.source),
      "a consumer's and a source's name are plain",
    );
    const options = { ...given, log: given.log.child({ consumer: given.consumer, source: given.source }) };
    const timings: ConsumerTimings = { ...DEFAULT_CONSUMER_TIMINGS, ...given.timings };
    this.#options = options;
    this.name = `consumer.${options.consumer}.${options.source}`;
    this.#leases = new ShardLeases(options, timings, {
      acquired: (cursor) => this.#acquired(cursor),
      lost: (shard) => this.#lost(shard),
      renewed: (cursor) => this.#renewed(cursor),
    });
    this.#applied = new AppliedPositions(options.clock, {
      read: () => this.positions(),
      owns: (shard) => this.#shards.has(shard),
      requestMissing: (positions) => this.#awaited.request(positions),
    });
    const topic = `applied.${options.consumer}.${options.source}`;
    this.#notifyOthers = new ThrottledCall(options.clock, NOTIFY_MS_MIN, () =>
      options.bus.broadcast(topic, Buffer.from(options.instanceId, "utf8")),
    );
    this.#loop = new ApplyLoop(options, timings, this.#shards, {
      applied: (shard, position) => this.#applied.advance(shard, position),
      committed: () => {
        this.#applied.wakeWaiters();
        this.#notifyOthers.call();
      },
      resync: () => this.#leases.tick(),
    });
    this.#reporter = new PositionReporter(options, timings, this.#shards);
    this.#awaited = new AwaitedPositions(options, this.#shards, () => this.#loop.wake());
  }

  async start(): Promise<void> {
    const { consumer, source } = this.#options;
    this.#unsubscribe = [
      this.#onBroadcastFromOthers(leaseTopic({ consumer, source }), () => this.#leases.wake()),
      this.#onBroadcastFromOthers(`applied.${consumer}.${source}`, () => this.#applied.wakeWaiters()),
    ];
    await this.#leases.start();
    const { signal } = this.#stopping;
    this.#loops = Promise.all([
      this.#leases.run(signal, () => this.#loop.findReplays()),
      this.#loop.run(signal),
      this.#reporter.run(signal),
      this.#awaited.run(signal),
    ]);
  }

  /** Finishes the current batch and releases the shards, so that another replica takes them at once. */
  async stop(): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    this.#stopping.abort();
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#notifyOthers.cancel();
    await this.#loops;
    await this.#reporter.report();
    for (const shard of [...this.#shards.keys()]) this.#lost(shard);
    await Promise.all(this.#closing);
    try {
      await this.#leases.release();
    } catch (error) {
      this.#options.log.warn({ err: error }, "leases were not released; they expire by themselves");
    }
  }

  /** The applied position of every shard, whichever replica owns it. */
  async positions(): Promise<number[]> {
    const { database, consumer, source } = this.#options;
    const rows = await readCursors(database.reader, { consumer, source });
    return rows.map((row) => row.position);
  }

  /**
   * Resolves to true once every shard is applied up to the given position (0 means any). Resolves to false if
   * that takes longer than `timeoutMs` or the signal aborts. Works in every replica.
   */
  waitForApplied(positions: readonly number[], options: WaitOptions): Promise<boolean> {
    return this.#applied.wait(positions, options);
  }

  /** Runs the projection's `work` soon. */
  wake(): void {
    this.#loop.wakeBackgroundWork();
  }

  ownedShards(): number[] {
    return [...this.#shards.keys()].sort((a, b) => a - b);
  }

  #acquired(cursor: CursorRow): void {
    const monotonicMs = this.#options.clock.monotonicMs();
    const owned = new OwnedShard({ ...cursor, monotonicMs });
    this.#shards.set(cursor.shard, owned);
    this.#applied.advance(cursor.shard, cursor.position);
    this.#options.bus
      .subscribe({
        source: this.#options.source,
        consumer: this.#options.consumer,
        shard: cursor.shard,
        startAfter: cursor.position,
        maxInFlight: IN_FLIGHT_MAX,
        onDelivery: (delivery) => this.#arrived(owned, delivery),
      })
      .then(
        (subscription) => {
          owned.subscription = subscription;
          if (this.#shards.get(owned.shard) !== owned) this.#close(owned);
        },
        // The producer is read instead, at gaps and when the shard is quiet. That is slower, but no message
        // is lost.
        (error: unknown) =>
          this.#options.log.error(
            { err: error, shard: owned.shard },
            "the shard cannot be subscribed to; its messages are read from the producer",
          ),
      );
    this.#loop.wakeBackgroundWork();
  }

  #lost(shard: number): void {
    const owned = this.#shards.get(shard);
    if (owned === undefined) return;
    this.#shards.delete(shard);
    this.#close(owned);
  }

  /** The transaction may have committed although the response was lost. */
  #renewed(cursor: CursorRow): void {
    const owned = this.#shards.get(cursor.shard);
    if (owned === undefined || cursor.position <= owned.inbox.applied) return;
    for (const delivery of owned.inbox.advance(cursor.position, cursor.itemsThrough)) delivery.ack();
    this.#applied.advance(cursor.shard, cursor.position);
    this.#applied.wakeWaiters();
    this.#loop.wakeBackgroundWork();
  }

  /**
   * Acks the deliveries that are not applied: the next owner first reads the messages from the producer, and
   * a bus that waits for the acks would hold back later messages.
   */
  #close(owned: OwnedShard): void {
    const closing = (async () => {
      await owned.subscription?.close();
      for (const delivery of [...owned.inbox.drain(), ...owned.undecodable.splice(0)]) delivery.ack();
    })().catch((error: unknown) => {
      this.#options.log.warn({ err: error, shard: owned.shard }, "a subscription did not close");
    });
    this.#closing.add(closing);
    void closing.finally(() => this.#closing.delete(closing));
  }

  #arrived(owned: OwnedShard, delivery: Delivery): void {
    if (this.#shards.get(owned.shard) !== owned) {
      delivery.nak(0);
      return;
    }
    owned.deliveries += 1;
    owned.lastArrivalMs = this.#options.clock.monotonicMs();
    const { envelope } = delivery;
    if (!this.#belongs(owned, envelope)) this.#undecodable(owned, delivery);
    else if (!owned.inbox.offer(envelope, delivery)) delivery.ack();
    this.#loop.wake();
  }

  #belongs(owned: OwnedShard, envelope: Envelope | undefined): envelope is Envelope {
    const { source } = this.#options;
    return (
      envelope !== undefined &&
      envelope.source === source &&
      envelope.shard === owned.shard &&
      envelope.position > 0n
    );
  }

  #undecodable(owned: OwnedShard, delivery: Delivery): void {
    // The producer still has the message whose delivery could not be decoded.
    owned.isRefetchRequested = true;
    if (delivery.attempt >= ATTEMPTS_MAX) owned.undecodable.push(delivery);
    else delivery.nak(backoffMs(delivery.attempt, UNDECODABLE_BACKOFF));
  }

  #onBroadcastFromOthers(topic: string, listener: () => void): () => void {
    const own = Buffer.from(this.#options.instanceId, "utf8");
    return this.#options.bus.onBroadcast(topic, (payload) => {
      if (!own.equals(payload)) listener();
    });
  }
}
