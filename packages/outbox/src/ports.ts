// What producers append, and what consumers see. Positions are gapless per (service, shard) and in
// commit order: the last statements of a producing transaction lock its shards' rows of
// shard_positions in shard order and take each one's next number.
import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";
import { PlainError } from "@muster/core";
import type { Transaction } from "@muster/db";

/** A domain event about to be appended. At most 512 KiB once enveloped; the producer splits. */
export interface OutboxDraft {
  readonly shard: number;
  /** CloudEvents type: "muster.<service>.<noun>.<past-verb>.v1". */
  readonly type: string;
  readonly data: Uint8Array;
  /** Tracked events it carries; 0 for others. */
  readonly items: number;
  readonly traceParent: string;
}

/** Producer side of one service. */
export interface OutboxPort {
  /** The last statements of the transaction. Returns each draft's position. */
  append(trx: Transaction, drafts: readonly OutboxDraft[]): Promise<number[]>;
  /** To be called once the transaction has committed: wakes the relay, here and elsewhere. */
  committed(): void;
  /** The last committed position of every shard. */
  positions(): Promise<number[]>;
  read(shard: number, afterPosition: number, limit: number): Promise<Envelope[]>;
  /** A consumer has folded this far. */
  reportFolded(consumer: string, shards: readonly FoldedShard[]): Promise<void>;
  /** Items committed and not yet folded by the slowest registered consumer; cheap, at most 1 s old. */
  backlogItems(): number;
  /** Called on every wake, in the process that committed (`isOwn`) and, within a second, in others. */
  onCommitted(listener: (isOwn: boolean) => void): () => void;
  /** Called with what each transaction of this process has appended, once it has committed. */
  onAppended(listener: (messages: readonly Envelope[]) => void): () => void;
}

export interface FoldedShard {
  readonly shard: number;
  readonly position: number;
  readonly itemsThrough: number;
}

/** What a consumer asks of the producer: its own outbox, or an internal RPC. */
export interface ProducerPort {
  read(shard: number, afterPosition: number, limit: number): Promise<Envelope[]>;
  reportFolded(consumer: string, shards: readonly FoldedShard[]): Promise<void>;
}

/** The consuming service's part of a {@link ShardConsumer}. */
export interface Folder {
  /**
   * Folds messages (each shard's in position order, without gap or repeat) inside the transaction
   * that also advances the cursors. Throws PoisonMessage for a message that can never be folded;
   * any other rejection rolls back and is tried again without limit.
   */
  fold(trx: Transaction, messages: readonly Envelope[]): Promise<void>;
  /** Called in the transaction that puts a message among the dead letters, before the cursor moves. */
  dead(trx: Transaction, envelope: Envelope | undefined, shard: number): Promise<void>;
  /**
   * Called by the owner between folds, never at the same time as a fold: timers, backfill steps.
   * Returns after at most ~50 ms of work; resolves to when it wants to be called again (epoch ms;
   * 0 = at once; Infinity = when woken).
   */
  work(owned: OwnedShards): Promise<number>;
}

export interface OwnedShards {
  readonly shards: readonly number[];
  /** The folded position of an owned shard. */
  position(shard: number): number;
  /** A transaction that commits only while this process still owns the shards (fencing epoch). */
  transaction<T>(shards: readonly number[], body: (trx: Transaction) => Promise<T>): Promise<T>;
}

/** A message that can never be folded: goes to the dead letters, and the cursor moves on. */
export class PoisonMessage extends PlainError {
  override name = "PoisonMessage";
  readonly envelope: Envelope;

  constructor(envelope: Envelope, cause: unknown) {
    super(`message ${envelope.id} cannot be folded`, { cause });
    this.envelope = envelope;
  }
}
