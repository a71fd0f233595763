// The bus port: domain events from one service to the others, and best-effort broadcasts.
import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";

export interface Bus {
  /**
   * Publishes one shard's envelopes in their order and resolves when the bus holds all of them.
   * On a rejection a prefix may have been published; publishing again is harmless.
   */
  publish(envelopes: readonly Envelope[]): Promise<void>;
  /** Starts delivering; see {@link SubscribeOptions}. */
  subscribe(options: SubscribeOptions): Promise<Subscription>;
  /** To every process, best effort, unordered: for wake-ups and revocations. */
  broadcast(topic: string, payload: Uint8Array): void;
  /** Returns a function that ends the subscription. */
  onBroadcast(topic: string, handler: (payload: Uint8Array) => void): () => void;
  /**
   * Tells a bus that stores nothing itself where to read a producer's committed messages. Called by
   * the producer's outbox; a bus with a broker ignores it.
   */
  attachSource(service: string, source: OutboxSource): void;
  /**
   * Removes every copy that the bus itself holds of the shard's messages so far, delivered or not. Consumers
   * find a gap where they had not come so far, and ask the producer, whose outbox has what remains of them.
   */
  forget(service: string, shard: number): Promise<void>;
  /** Stops deliveries and closes connections. */
  close(): Promise<void>;
}

export interface SubscribeOptions {
  /** The producing service, such as "events". */
  readonly source: string;
  /** Durable name of the consumer: renaming it delivers everything again. */
  readonly consumer: string;
  readonly shard: number;
  /** The position folded so far; delivery begins after it at the latest. */
  readonly startAfter: number;
  /** At most this many deliveries are neither acked nor naked. */
  readonly maxInFlight: number;
  /** At-least-once; after a nak or a reconnect also out of order and repeated. Must not throw. */
  readonly onDelivery: (delivery: Delivery) => void;
}

export interface Delivery {
  /** Undecoded where the bytes are not an Envelope: then `raw` is all there is. */
  readonly envelope: Envelope | undefined;
  readonly raw: Uint8Array;
  /** 1 at first. */
  readonly attempt: number;
  ack(): void;
  /** Delivers it again after `delayMs`. */
  nak(delayMs: number): void;
}

export interface Subscription {
  close(): Promise<void>;
}

/**
 * Where the embedded bus reads a producer's committed outbox: its durability is the outbox itself.
 * The JetStream bus ignores it.
 */
export interface OutboxSource {
  /** Up to `limit` envelopes of the shard after the position, in order. */
  read(shard: number, afterPosition: number, limit: number): Promise<Envelope[]>;
}
