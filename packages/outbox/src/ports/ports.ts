// The outbox ports define what producers append and what consumers read. Positions are gapless per (service,
// shard) and in commit order: the last statements of a producing transaction lock the rows of its shards in
// shard_positions, in shard order, and take the next number of each shard.
import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";
import { PlainError } from "@muster/core";
import type { Transaction } from "@muster/db";

/**
 * A domain event that is about to be appended. At most 512 KiB with its envelope; the producer splits larger
 * data.
 */
export interface OutboxDraft {
  readonly shard: number;
  /** CloudEvents type: "muster.<service>.<noun>.<past-verb>.v1". */
  readonly type: string;
  readonly data: Uint8Array;
  /** Number of tracked events in the message; 0 for other messages. */
  readonly items: number;
  readonly traceParent: string;
}

/** The outbox of one producing service. */
export interface OutboxPort {
  /** Appends messages. Must be the last statements of the transaction. Returns the position of each draft. */
  append(trx: Transaction, drafts: readonly OutboxDraft[]): Promise<number[]>;
  /** Wakes the relay in this and in other processes. Must be called once the transaction has committed. */
  committed(): void;
  /** The last committed position of every shard. */
  positions(): Promise<number[]>;
  read(shard: number, afterPosition: number, limit: number): Promise<Envelope[]>;
  /** Stores how far a consumer has applied the messages of some shards. */
  reportApplied(consumer: string, shards: readonly AppliedShard[]): Promise<void>;
  /**
   * Items that are committed and not yet applied by the slowest registered consumer. Cheap; at most 1 s old.
   */
  backlogItems(): number;
  /**
   * Calls the listener on every commit of this process (`isOwn`), and within a second of commits in other
   * processes. Returns a function that removes the listener.
   */
  onCommitted(listener: (isOwn: boolean) => void): () => void;
  /**
   * Calls the listener with the messages of each transaction of this process, once the transaction has
   * committed. Returns a function that removes the listener.
   */
  onAppended(listener: (messages: readonly Envelope[]) => void): () => void;
}

export interface AppliedShard {
  readonly shard: number;
  readonly position: number;
  readonly itemsThrough: number;
}

/** What a consumer requests from the producer: the producer's own outbox, or an internal RPC. */
export interface ProducerPort {
  read(shard: number, afterPosition: number, limit: number): Promise<Envelope[]>;
  reportApplied(consumer: string, shards: readonly AppliedShard[]): Promise<void>;
}

/** The part of a {@link ShardConsumer} that the consuming service implements. */
export interface Projection {
  /**
   * Does work on the messages before their transaction begins, such as evaluations that need no write. Yields
   * to the event loop, because no lock is held meanwhile. Returns how many of the messages, from the first on
   * and at least one, are to be applied now; the others come again. A failure is handled as a failure of `apply`.
   */
  prepare?(messages: readonly Envelope[], signal: AbortSignal): Promise<number>;
  /**
   * Applies messages inside the transaction that also advances the cursors. The messages of each shard are in
   * position order, without gaps or repeats. Throws PoisonMessage for a message that can never be applied;
   * any other rejection rolls the transaction back, and the messages are retried without limit.
   */
  apply(trx: Transaction, messages: readonly Envelope[]): Promise<void>;
  /**
   * Called in the transaction that moves a message to the dead letters, before the cursor advances.
   * `envelope` is undefined where the bytes cannot be decoded.
   */
  onDeadLetter(trx: Transaction, envelope: Envelope | undefined, shard: number): Promise<void>;
  /**
   * Does background work such as timers and backfill steps. The owner calls it between two applied batches,
   * never at the same time as one. Returns after at most about 50 ms of work. Resolves to the next time to be
   * called (epoch milliseconds; 0 means at once, Infinity means when woken). Once the signal aborts, the work may
   * end early.
   */
  work(owned: OwnedShards, signal: AbortSignal): Promise<number>;
}

export interface OwnedShards {
  readonly shards: readonly number[];
  /** The applied position of an owned shard. */
  position(shard: number): number;
  /** Runs a transaction that commits only while this process still owns the shards (fencing token). */
  transaction<T>(shards: readonly number[], body: (trx: Transaction) => Promise<T>): Promise<T>;
}

/** A message that can never be applied: it moves to the dead letters, and the cursor advances. */
export class PoisonMessage extends PlainError {
  override name = "PoisonMessage";
  readonly envelope: Envelope;

  constructor(envelope: Envelope, cause: unknown) {
    super(`message ${envelope.id} cannot be applied`, { cause });
    this.envelope = envelope;
  }
}
