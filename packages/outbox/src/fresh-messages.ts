// What this process has just committed, on its way to the relay: published from memory while that joins on
// to what is published already. The table stays the truth; whatever is dropped here is read from it.
import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";

export class FreshMessages {
  readonly #bytesMax: number;
  /** Of each shard, in position order unless `take` says otherwise. */
  #byShard = new Map<number, Envelope[]>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** False if there is no room: then nothing is kept, and the table has to be read. */
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
   * All messages that follow the cursors without a gap, and forgets the rest; `isWhole` is false where a
   * message that is missing lies before one that was here.
   */
  take(cursors: ReadonlyMap<number, number>): { readonly messages: Envelope[]; readonly isWhole: boolean } {
    const messages: Envelope[] = [];
    let isWhole = true;
    for (const [shard, fresh] of this.#byShard) {
      let next = (cursors.get(shard) ?? 0) + 1;
      for (const message of fresh) {
        const position = Number(message.position);
        if (position === next) {
          messages.push(message);
          next += 1;
        } else if (position > next) {
          isWhole = false;
        }
      }
    }
    this.clear();
    return { messages, isWhole };
  }

  clear(): void {
    this.#byShard = new Map();
    this.#bytes = 0;
  }
}
