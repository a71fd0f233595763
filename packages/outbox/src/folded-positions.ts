// Applied positions record how far all shards are applied, as far as this replica has read, and let callers
// wait for higher positions.
import { type Clock, SHARD_COUNT, Wakeup } from "@muster/core";

export interface WaitOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface FoldedSources {
  /** Reads the positions of all shards from the table. */
  read(): Promise<number[]>;
  owns(shard: number): boolean;
  /** A caller has waited for a while: the bus may have lost the missing messages. */
  expect(positions: readonly number[]): void;
}

const POLL_MS = 50;
const EXPECT_AFTER_MS = 250;

export class FoldedPositions {
  readonly #clock: Clock;
  readonly #sources: FoldedSources;
  /** Positions only grow. Each was correct once, so it is a lower bound forever. */
  readonly #known: number[] = new Array<number>(SHARD_COUNT).fill(0);
  readonly #waiters = new Set<Wakeup>();
  #reading: Promise<void> | undefined;

  constructor(clock: Clock, sources: FoldedSources) {
    this.#clock = clock;
    this.#sources = sources;
  }

  /** Records a committed position. */
  note(shard: number, position: number): void {
    if (position > (this.#known[shard] ?? 0)) this.#known[shard] = position;
  }

  wakeWaiters(): void {
    for (const waiter of this.#waiters) waiter.notify();
  }

  /** See ShardConsumer.waitFolded. */
  async wait(positions: readonly number[], { timeoutMs, signal }: WaitOptions): Promise<boolean> {
    if (this.#reached(positions)) return true;
    const wakeup = new Wakeup();
    this.#waiters.add(wakeup);
    const startMs = this.#clock.monotonicMs();
    let expectAtMs = startMs + EXPECT_AFTER_MS;
    try {
      for (let round = 0; ; round += 1) {
        // Positions that this replica applies are recorded without the table, unless it has lost the shard.
        if (round > 0 || !this.#allOwned(positions)) await this.#refresh();
        if (this.#reached(positions)) return true;
        const nowMs = this.#clock.monotonicMs();
        const leftMs = startMs + timeoutMs - nowMs;
        if (leftMs <= 0 || signal?.aborted === true) return false;
        if (nowMs >= expectAtMs) {
          this.#sources.expect(positions);
          expectAtMs = nowMs + EXPECT_AFTER_MS;
        }
        await wakeup.wait(this.#clock, Math.min(POLL_MS, leftMs), signal);
        if (this.#reached(positions)) return true;
      }
    } finally {
      this.#waiters.delete(wakeup);
    }
  }

  #reached(positions: readonly number[]): boolean {
    return positions.every((position, shard) => position <= (this.#known[shard] ?? 0));
  }

  #allOwned(positions: readonly number[]): boolean {
    return positions.every(
      (position, shard) => position <= (this.#known[shard] ?? 0) || this.#sources.owns(shard),
    );
  }

  /** One read of the table serves all waiting callers. */
  #refresh(): Promise<void> {
    this.#reading ??= this.#sources
      .read()
      .then((positions) => {
        for (const [shard, position] of positions.entries()) this.note(shard, position);
      })
      .finally(() => {
        this.#reading = undefined;
      });
    return this.#reading;
  }
}
