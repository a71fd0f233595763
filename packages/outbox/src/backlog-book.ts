// What this process knows of items committed and folded: its own appends and reports at once, other
// processes' from the last poll.
import type { OutboxState } from "./outbox-state-store.ts";
import type { FoldedShard } from "./ports.ts";

export interface BookMark {
  readonly appends: number;
  readonly reports: number;
}

export class BacklogBook {
  #items: number[] = [];
  #positions: number[] = [];
  readonly #folded = new Map<string, number[]>();
  #appends = 0;
  #reports = 0;

  /** To be taken before a poll reads, so that it can tell whether it raced a local change. */
  mark(): BookMark {
    return { appends: this.#appends, reports: this.#reports };
  }

  /** An append that may still roll back; the next poll corrects it then. */
  appended(shard: number, itemsThrough: number): void {
    this.#appends += 1;
    this.#items[shard] = Math.max(this.#items[shard] ?? 0, itemsThrough);
  }

  folded(consumer: string, shards: readonly FoldedShard[]): void {
    this.#reports += 1;
    const known = this.#folded.get(consumer) ?? [];
    for (const { shard, itemsThrough } of shards) known[shard] = itemsThrough;
    this.#folded.set(consumer, known);
  }

  /** Takes what a poll read; true if positions have moved since the poll before. */
  refresh(state: OutboxState, before: BookMark): boolean {
    // What was read before a local change must not undo it; a poll later it will be there.
    this.#items = before.appends === this.#appends ? [...state.items] : larger(this.#items, state.items);
    const raced = before.reports !== this.#reports;
    for (const [consumer, { items }] of state.folded) {
      const known = this.#folded.get(consumer) ?? [];
      this.#folded.set(consumer, raced ? larger(known, items) : [...items]);
    }
    const moved = state.positions.some((position, shard) => position !== (this.#positions[shard] ?? 0));
    this.#positions = [...state.positions];
    return moved;
  }

  /** Items that the slowest registered consumer has not folded. Without a consumer there is no backlog. */
  backlogItems(): number {
    const committed = sum(this.#items);
    let backlog = 0;
    for (const folded of this.#folded.values()) backlog = Math.max(backlog, committed - sum(folded));
    return backlog;
  }
}

function sum(numbers: readonly number[]): number {
  let total = 0;
  for (const number of numbers) total += number ?? 0;
  return total;
}

function larger(left: readonly number[], right: readonly number[]): number[] {
  const length = Math.max(left.length, right.length);
  return Array.from({ length }, (_, shard) => Math.max(left[shard] ?? 0, right[shard] ?? 0));
}
