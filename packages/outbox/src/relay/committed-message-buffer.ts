// The buffer holds committed messages of this process on their way to the relay. Messages are published from
// memory while they follow the published positions without a gap; dropped messages are read from the table,
// which stays the source of truth.
import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";

export class CommittedMessageBuffer {
  readonly #bytesMax: number;
  /** Messages of each shard, in position order unless `take` returns otherwise. */
  #byShard = new Map<number, Envelope[]>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Adds messages. Returns false if the buffer is full: it is then empty, and the table must be read. */
  offer(messages: readonly Envelope[]): boolean {
    for (const message of messages) {
      const shard = this.#byShard.get(message.shard);
      if (shard === undefined) this.#byShard.set(message.shard, [message]);
      else shard.push(message);
      this.#bytes += message.data.byteLength;
    }
    if (this.#bytes <= this.#bytesMax) return true;
    this.clear();
    return false;
  }

  /**
   * Returns all messages that follow the cursors without a gap, and drops the rest. `isComplete` is false where
   * a message is missing before a buffered one.
   */
  take(cursors: ReadonlyMap<number, number>): {
    readonly messages: Envelope[];
    readonly isComplete: boolean;
  } {
    const messages: Envelope[] = [];
    let isComplete = true;
    for (const [shard, buffered] of this.#byShard) {
      let next = (cursors.get(shard) ?? 0) + 1;
      for (const message of buffered) {
        const position = Number(message.position);
        if (position === next) {
          messages.push(message);
          next += 1;
        } else if (position > next) {
          isComplete = false;
        }
      }
    }
    this.clear();
    return { messages, isComplete };
  }

  clear(): void {
    this.#byShard = new Map();
    this.#bytes = 0;
  }
}
