// The bus port carries domain events from one service to the others, and best-effort broadcasts to all
// processes.
import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";

export interface Bus {
  /**
   * Publishes envelopes of one shard in order. Resolves when the bus holds all of them. After a rejection a
   * prefix may have been published; publishing again is harmless.
   */
  publish(envelopes: readonly Envelope[]): Promise<void>;
  /** Starts delivering; see {@link SubscribeOptions}. */
  subscribe(options: SubscribeOptions): Promise<Subscription>;
  /** Sends to every process, best effort and unordered: for wake-ups and revocations. */
  broadcast(topic: string, payload: Uint8Array): void;
  /** Returns a function that ends the subscription. */
  onBroadcast(topic: string, handler: (payload: Uint8Array) => void): () => void;
  /**
   * Attaches the source of a producer's committed messages, for a bus that stores nothing. The producer's
   * outbox calls it; a bus with a broker ignores it.
   */
  attachSource(service: string, source: OutboxSource): void;
  /**
   * Removes every copy of the shard's messages that the bus itself holds, delivered or not. Consumers that
   * were behind find a gap and read the remaining messages from the producer's outbox.
   */
  purge(service: string, shard: number): Promise<void>;
  /** Stops deliveries and closes connections. */
  close(): Promise<void>;
}

export interface SubscribeOptions {
  /** The producing service, such as "events". */
  readonly source: string;
  /** Durable name of the consumer. A renamed consumer receives every message again. */
  readonly consumer: string;
  readonly shard: number;
  /** The applied position of the consumer. Delivery begins after it at the latest. */
  readonly startAfter: number;
  /** At most this many deliveries are neither acked nor naked. */
  readonly maxInFlight: number;
  /**
   * Called at least once per message; after a nak or a reconnect also out of order and repeatedly. Must not
   * throw.
   */
  readonly onDelivery: (delivery: Delivery) => void;
}

export interface Delivery {
  /** Undefined where the bytes are not an Envelope; `raw` still holds them. */
  readonly envelope: Envelope | undefined;
  readonly raw: Uint8Array;
  /** Number of this delivery of the message, from 1. */
  readonly attempt: number;
  ack(): void;
  /** Requests a redelivery after `delayMs`. */
  nak(delayMs: number): void;
}

export interface Subscription {
  close(): Promise<void>;
}

/**
 * The producer's committed outbox, from which the embedded bus reads because it stores nothing itself. The
 * JetStream bus ignores it.
 */
export interface OutboxSource {
  /** Reads up to `limit` envelopes of the shard after the position, in order. */
  read(shard: number, afterPosition: number, limit: number): Promise<Envelope[]>;
}
