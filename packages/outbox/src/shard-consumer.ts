// A shard consumer leases shards of one producer, applies domain events exactly once in effect, and reports
// the applied positions. The consuming service supplies only the projection.
import type { Delivery } from "@muster/bus";
import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";
import { assert } from "@muster/core";
import { backoffMs } from "./backoff.ts";
import {
  ATTEMPTS_MAX,
  type ConsumerTimings,
  DEFAULT_CONSUMER_TIMINGS,
  IN_FLIGHT_MAX,
  type ShardConsumerOptions,
} from "./consumer-options.ts";
import { type CursorRow, readCursors } from "./cursor-store.ts";
import { FoldLoop } from "./fold-loop.ts";
import { FoldReporter } from "./fold-reporter.ts";
import { FoldedPositions, type WaitOptions } from "./folded-positions.ts";
import { OwnedShard } from "./owned-shard.ts";
import { leaseTopic, ShardLeases } from "./shard-leases.ts";
import { ThrottledCall } from "./throttled-call.ts";

/** Shortest time between two broadcasts of applied positions to other replicas. */
const TELL_MS_MIN = 10;
const NAME = /^[a-z][a-z0-9_-]{0,63}$/;

/** Consumes the domain events of one producer. A worker with `start` and `stop`. */
export class ShardConsumer {
  readonly name: string;
  readonly #options: ShardConsumerOptions;
  readonly #shards = new Map<number, OwnedShard>();
  readonly #leases: ShardLeases;
  readonly #loop: FoldLoop;
  readonly #reporter: FoldReporter;
  readonly #folded: FoldedPositions;
  readonly #tellOthers: ThrottledCall;
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
      gained: (cursor) => this.#gained(cursor),
      lost: (shard) => this.#lost(shard),
      kept: (cursor) => this.#kept(cursor),
    });
    this.#folded = new FoldedPositions(options.clock, {
      read: () => this.positions(),
      owns: (shard) => this.#shards.has(shard),
      expect: (positions) => this.#expect(positions),
    });
    const topic = `folded.${options.consumer}.${options.source}`;
    this.#tellOthers = new ThrottledCall(options.clock, TELL_MS_MIN, () =>
      options.bus.broadcast(topic, Buffer.from(options.instanceId, "utf8")),
    );
    this.#loop = new FoldLoop(options, timings, this.#shards, {
      folded: (shard, position) => this.#folded.note(shard, position),
      committed: () => {
        this.#folded.wakeWaiters();
        this.#tellOthers.call();
      },
      resync: () => this.#leases.tick(),
    });
    this.#reporter = new FoldReporter(options, timings, this.#shards);
  }

  async start(): Promise<void> {
    const { consumer, source } = this.#options;
    this.#unsubscribe = [
      this.#onOthers(leaseTopic({ consumer, source }), () => this.#leases.wake()),
      this.#onOthers(`folded.${consumer}.${source}`, () => this.#folded.wakeWaiters()),
    ];
    await this.#leases.start();
    const { signal } = this.#stopping;
    this.#loops = Promise.all([
      this.#leases.run(signal, () => this.#loop.lookForReplays()),
      this.#loop.run(signal),
      this.#reporter.run(signal),
    ]);
  }

  /** Finishes the current batch and releases the shards, so that another replica takes them at once. */
  async stop(): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    this.#stopping.abort();
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#tellOthers.cancel();
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
  waitFolded(positions: readonly number[], options: WaitOptions): Promise<boolean> {
    return this.#folded.wait(positions, options);
  }

  /** Runs the projection's `work` soon. */
  wake(): void {
    this.#loop.wakeWork();
  }

  ownedShards(): number[] {
    return [...this.#shards.keys()].sort((a, b) => a - b);
  }

  #gained(cursor: CursorRow): void {
    const monotonicMs = this.#options.clock.monotonicMs();
    const owned = new OwnedShard({ ...cursor, monotonicMs });
    this.#shards.set(cursor.shard, owned);
    this.#folded.note(cursor.shard, cursor.position);
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
    this.#loop.wakeWork();
  }

  #lost(shard: number): void {
    const owned = this.#shards.get(shard);
    if (owned === undefined) return;
    this.#shards.delete(shard);
    this.#close(owned);
  }

  /** The transaction may have committed although the response was lost. */
  #kept(cursor: CursorRow): void {
    const owned = this.#shards.get(cursor.shard);
    if (owned === undefined || cursor.position <= owned.inbox.folded) return;
    for (const delivery of owned.inbox.advance(cursor.position, cursor.itemsThrough)) delivery.ack();
    this.#folded.note(cursor.shard, cursor.position);
    this.#folded.wakeWaiters();
    this.#loop.wakeWork();
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
    owned.checkWanted = true;
    if (delivery.attempt >= ATTEMPTS_MAX) owned.undecodable.push(delivery);
    else delivery.nak(backoffMs(delivery.attempt, { minMs: 50, maxMs: 1_000 }));
  }

  #expect(positions: readonly number[]): void {
    for (const owned of this.#shards.values()) {
      if ((positions[owned.shard] ?? 0) > owned.inbox.contiguousEnd) owned.checkWanted = true;
    }
    this.#loop.wake();
  }

  #onOthers(topic: string, heard: () => void): () => void {
    const own = Buffer.from(this.#options.instanceId, "utf8");
    return this.#options.bus.onBroadcast(topic, (payload) => {
      if (!own.equals(payload)) heard();
    });
  }
}
