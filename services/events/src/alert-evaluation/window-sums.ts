// Sums the amounts of a series in windows that end at each action of a batch. The cost of a sum depends
// neither on the number of actions in the window nor on their order of arrival. Pure.
import { lowerBound } from "../alert-history/history-cell.ts";

/** The sums of one series. Actions are added in order of arrival; each sum contains the actions so far. */
export class WindowSums {
  readonly #storedBetween: (fromMs: bigint, toMs: bigint) => bigint;
  /** The instants of all actions of the batch, ascending, without repeats. */
  readonly #instants: readonly bigint[];
  /** A binary indexed tree over the instants: each node holds the sum of a power of two of instants. */
  readonly #tree: bigint[];
  #latestMs = 0n;
  #upToLatest = 0n;
  /** Rules with equal windows share a sum. */
  readonly #sums = new Map<number, bigint>();

  /** `storedBetween` sums the stored actions; `instants` are those of all actions to add. */
  constructor(storedBetween: (fromMs: bigint, toMs: bigint) => bigint, instants: readonly bigint[]) {
    this.#storedBetween = storedBetween;
    this.#instants = [...new Set(instants)].sort((a, b) => (a < b ? -1 : 1));
    this.#tree = new Array<bigint>(this.#instants.length + 1).fill(0n);
  }

  /** Adds an action. Later windows end at its instant. */
  add(ms: bigint, amount: bigint): void {
    const rank = lowerBound(this.#instants, ms) + 1;
    for (let node = rank; node < this.#tree.length; node += node & -node) {
      this.#tree[node] = (this.#tree[node] ?? 0n) + amount;
    }
    this.#latestMs = ms;
    this.#upToLatest = this.#sumOfFirst(rank);
    this.#sums.clear();
  }

  /** Returns the sum of the window that ends at the action added last, both ends included. */
  sumOf(windowSeconds: number): bigint {
    const known = this.#sums.get(windowSeconds);
    if (known !== undefined) return known;
    const fromMs = this.#latestMs - BigInt(windowSeconds) * 1000n;
    const ofBatch = this.#upToLatest - this.#sumOfFirst(lowerBound(this.#instants, fromMs));
    const sum = ofBatch + this.#storedBetween(fromMs, this.#latestMs);
    this.#sums.set(windowSeconds, sum);
    return sum;
  }

  #sumOfFirst(count: number): bigint {
    let sum = 0n;
    for (let node = count; node > 0; node -= node & -node) sum += this.#tree[node] ?? 0n;
    return sum;
  }
}
