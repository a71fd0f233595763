// The backlog tracker counts items committed and items applied. The appends and reports of this process count
// at once, those of other processes from the last poll.

import type { AppliedShard } from "../ports/ports.ts";
import type { OutboxState } from "./outbox-state-store.ts";

export interface LocalChanges {
  readonly appends: number;
  readonly reports: number;
}

export class BacklogTracker {
  #items: number[] = [];
  #positions: number[] = [];
  readonly #applied = new Map<string, number[]>();
  #appends = 0;
  #reports = 0;

  /**
   * Returns the number of local changes. Must be called before a poll reads, so that `refresh` detects a
   * concurrent local change.
   */
  localChanges(): LocalChanges {
    return { appends: this.#appends, reports: this.#reports };
  }

  /** Counts an append that may still roll back; the next poll corrects the count then. */
  appended(shard: number, itemsThrough: number): void {
    this.#appends += 1;
    this.#items[shard] = Math.max(this.#items[shard] ?? 0, itemsThrough);
  }

  applied(consumer: string, shards: readonly AppliedShard[]): void {
    this.#reports += 1;
    const known = this.#applied.get(consumer) ?? [];
    for (const { shard, itemsThrough } of shards) known[shard] = itemsThrough;
    this.#applied.set(consumer, known);
  }

  /** Takes over what a poll has read. Returns whether positions have advanced since the poll before. */
  refresh(state: OutboxState, before: LocalChanges): boolean {
    // A poll that started before a local change must not undo the change; the next poll includes it.
    this.#items = before.appends === this.#appends ? [...state.items] : larger(this.#items, state.items);
    const raced = before.reports !== this.#reports;
    for (const [consumer, { items }] of state.applied) {
      const known = this.#applied.get(consumer) ?? [];
      this.#applied.set(consumer, raced ? larger(known, items) : [...items]);
    }
    const moved = state.positions.some((position, shard) => position !== (this.#positions[shard] ?? 0));
    this.#positions = [...state.positions];
    return moved;
  }

  /** Items that the slowest registered consumer has not applied. Without a consumer there is no backlog. */
  backlogItems(): number {
    const committed = sum(this.#items);
    let backlog = 0;
    for (const applied of this.#applied.values()) backlog = Math.max(backlog, committed - sum(applied));
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
