// How far everything is folded, as far as this replica knows, and waiting for more.
import { type Clock, SHARD_COUNT, Wakeup } from "@muster/core";

export interface WaitOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface FoldedSources {
  /** All shards' positions from the table. */
  read(): Promise<number[]>;
  owns(shard: number): boolean;
  /** Somebody has waited a while: the bus may have lost what is missing. */
  expect(positions: readonly number[]): void;
}

const POLL_MS = 50;
const EXPECT_AFTER_MS = 250;

export class FoldedPositions {
  readonly #clock: Clock;
  readonly #sources: FoldedSources;
  /** Only grows; each was true once, so it is a lower bound for ever. */
  readonly #known: number[] = new Array<number>(SHARD_COUNT).fill(0);
  readonly #waiters = new Set<Wakeup>();
  #reading: Promise<void> | undefined;

  constructor(clock: Clock, sources: FoldedSources) {
    this.#clock = clock;
    this.#sources = sources;
  }

  /** A committed position. */
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
        // What this replica folds itself it hears of without the table, unless it has lost the shard.
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

  /** One read of the table serves all who wait. */
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
