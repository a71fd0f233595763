// The embedded bus delivers messages within one process. The bus stores no messages: each subscription reads
// the producer's outbox from a position of its own. Other processes are not reached.
import { toBinary } from "@bufbuild/protobuf";
import { type Envelope, EnvelopeSchema } from "@muster/contracts/muster/bus/v1/envelope_pb";
import { type BackoffPolicy, backoffMs, type Clock, Wakeup } from "@muster/core";
import type { Logger } from "@muster/log";
import { BroadcastHub } from "./broadcast-hub.ts";
import type { Bus, Delivery, OutboxSource, SubscribeOptions, Subscription } from "./bus.ts";

export interface EmbeddedBusOptions {
  readonly clock: Clock;
  readonly log: Logger;
}

const BACKOFF: BackoffPolicy = { minMs: 100, maxMs: 2_000 };
/** Only a wake-up ends the wait; the limit keeps the timer within the timer's range. */
const IDLE_MS_MAX = 2 ** 30;

export class EmbeddedBus implements Bus {
  readonly #options: EmbeddedBusOptions;
  readonly #sources = new Map<string, OutboxSource>();
  readonly #subscriptions = new Set<EmbeddedSubscription>();
  readonly #hub: BroadcastHub;
  #closed = false;

  constructor(options: EmbeddedBusOptions) {
    this.#options = options;
    this.#hub = new BroadcastHub(options.log);
  }

  attachSource(service: string, source: OutboxSource): void {
    this.#sources.set(service, source);
    for (const subscription of this.#subscriptions) {
      if (subscription.source === service) subscription.sourceAttached();
    }
  }

  /** Only wakes subscriptions, because subscriptions read the envelopes from the outbox. */
  async publish(envelopes: readonly Envelope[]): Promise<void> {
    if (this.#closed) throw new Error("the bus is closed");
    for (const envelope of envelopes) {
      for (const subscription of this.#subscriptions) {
        if (subscription.wants(envelope)) subscription.announce(Number(envelope.position));
      }
    }
  }

  async subscribe(options: SubscribeOptions): Promise<Subscription> {
    if (this.#closed) throw new Error("the bus is closed");
    const subscription = new EmbeddedSubscription(options, this.#options, {
      source: () => this.#sources.get(options.source),
      closed: (closing) => this.#subscriptions.delete(closing),
    });
    this.#subscriptions.add(subscription);
    return subscription;
  }

  broadcast(topic: string, payload: Uint8Array): void {
    if (!this.#closed) this.#hub.dispatch(topic, payload);
  }

  onBroadcast(topic: string, handler: (payload: Uint8Array) => void): () => void {
    return this.#hub.on(topic, handler);
  }

  /** Does not remove messages: subscriptions read the outbox, where the messages are already rewritten. */
  async purge(): Promise<void> {}

  async close(): Promise<void> {
    this.#closed = true;
    this.#hub.close();
    await Promise.all([...this.#subscriptions].map((subscription) => subscription.close()));
  }
}

interface SubscriptionOwner {
  source(): OutboxSource | undefined;
  closed(subscription: EmbeddedSubscription): void;
}

/**
 * A subscription reads one shard in a loop of its own, so that a slow or failing subscription delays no
 * other.
 */
class EmbeddedSubscription implements Subscription {
  readonly #options: SubscribeOptions;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #owner: SubscriptionOwner;
  readonly #wakeup = new Wakeup();
  readonly #stopping = new AbortController();
  readonly #loop: Promise<void>;
  #position: number;
  /** The last published position. */
  #announced = 0;
  /** Whether a read found no message after the position, so that only a published message needs another read. */
  #isCaughtUp = false;
  #inFlight = 0;

  constructor(options: SubscribeOptions, runtime: EmbeddedBusOptions, owner: SubscriptionOwner) {
    this.#options = options;
    this.#clock = runtime.clock;
    this.#log = runtime.log.child({
      consumer: options.consumer,
      source: options.source,
      shard: options.shard,
    });
    this.#owner = owner;
    this.#position = options.startAfter;
    this.#loop = this.#run();
  }

  get source(): string {
    return this.#options.source;
  }

  wants(envelope: Envelope): boolean {
    return envelope.source === this.#options.source && envelope.shard === this.#options.shard;
  }

  announce(position: number): void {
    this.#announced = Math.max(this.#announced, position);
    this.#wakeup.notify();
  }

  sourceAttached(): void {
    this.#isCaughtUp = false;
    this.#wakeup.notify();
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    this.#owner.closed(this);
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    let failures = 0;
    while (!signal.aborted) {
      try {
        const delivered = await this.#deliverSome();
        failures = 0;
        if (delivered === 0) await this.#wakeup.wait(this.#clock, IDLE_MS_MAX, signal);
      } catch (error) {
        if (failures === 0) this.#log.warn({ err: error }, "the outbox cannot be read; retrying");
        failures += 1;
        await this.#clock.sleep(backoffMs(failures, BACKOFF), signal);
      }
    }
  }

  async #deliverSome(): Promise<number> {
    const room = this.#options.maxInFlight - this.#inFlight;
    const source = this.#owner.source();
    if (room <= 0 || source === undefined) return 0;
    if (this.#isCaughtUp && this.#position >= this.#announced) return 0;
    const envelopes = await source.read(this.#options.shard, this.#position, room);
    if (envelopes.length === 0) this.#isCaughtUp = true;
    for (const envelope of envelopes) {
      if (this.#stopping.signal.aborted) break;
      this.#position = Number(envelope.position);
      this.#inFlight += 1;
      this.#deliver(envelope, 1);
    }
    return envelopes.length;
  }

  #deliver(envelope: Envelope, attempt: number): void {
    let hasOutcome = false;
    const claimOutcome = (): boolean => {
      const first = !hasOutcome;
      hasOutcome = true;
      return first;
    };
    const delivery: Delivery = {
      envelope,
      get raw() {
        return toBinary(EnvelopeSchema, envelope);
      },
      attempt,
      ack: () => {
        if (claimOutcome()) this.#finish();
      },
      nak: (delayMs) => {
        if (claimOutcome()) void this.#redeliver(envelope, attempt + 1, delayMs);
      },
    };
    try {
      this.#options.onDelivery(delivery);
    } catch (error) {
      this.#log.error({ err: error }, "a delivery handler threw; the message is redelivered");
      delivery.nak(BACKOFF.maxMs);
    }
  }

  #finish(): void {
    const wasFull = this.#inFlight >= this.#options.maxInFlight;
    this.#inFlight -= 1;
    if (wasFull) this.#wakeup.notify();
  }

  async #redeliver(envelope: Envelope, attempt: number, delayMs: number): Promise<void> {
    await this.#clock.sleep(delayMs, this.#stopping.signal);
    if (!this.#stopping.signal.aborted) this.#deliver(envelope, attempt);
  }
}
