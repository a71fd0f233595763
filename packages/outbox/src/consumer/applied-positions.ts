// Applied positions record how far all shards are applied, as far as this replica has read, and let callers
// wait for higher positions.
import { type Clock, SHARD_COUNT, Wakeup } from "@muster/core";

export interface WaitOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface AppliedPositionSources {
  /** Reads the positions of all shards from the table. */
  read(): Promise<number[]>;
  owns(shard: number): boolean;
  /** A caller has waited for a while: the bus may have lost the missing messages. */
  requestMissing(positions: readonly number[]): void;
}

const POLL_MS = 50;
const REQUEST_AFTER_MS = 250;

export class AppliedPositions {
  readonly #clock: Clock;
  readonly #sources: AppliedPositionSources;
  /** Positions only grow. Each was correct once, so it is a lower bound forever. */
  readonly #known: number[] = new Array<number>(SHARD_COUNT).fill(0);
  readonly #waiters = new Set<Wakeup>();
  #reading: Promise<void> | undefined;

  constructor(clock: Clock, sources: AppliedPositionSources) {
    this.#clock = clock;
    this.#sources = sources;
  }

  /** Records a committed position. */
  advance(shard: number, position: number): void {
    if (position > (this.#known[shard] ?? 0)) this.#known[shard] = position;
  }

  wakeWaiters(): void {
    for (const waiter of this.#waiters) waiter.notify();
  }

  /** See ShardConsumer.waitForApplied. */
  async wait(positions: readonly number[], { timeoutMs, signal }: WaitOptions): Promise<boolean> {
    if (this.#reached(positions)) return true;
    const wakeup = new Wakeup();
    this.#waiters.add(wakeup);
    const startMs = this.#clock.monotonicMs();
    let requestAtMs = startMs + REQUEST_AFTER_MS;
    try {
      for (let round = 0; ; round += 1) {
        // Positions that this replica applies are recorded without the table, unless it has lost the shard.
        if (round > 0 || !this.#allOwned(positions)) await this.#refresh();
        if (this.#reached(positions)) return true;
        const nowMs = this.#clock.monotonicMs();
        const leftMs = startMs + timeoutMs - nowMs;
        if (leftMs <= 0 || signal?.aborted === true) return false;
        if (nowMs >= requestAtMs) {
          this.#sources.requestMissing(positions);
          requestAtMs = nowMs + REQUEST_AFTER_MS;
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
        for (const [shard, position] of positions.entries()) this.advance(shard, position);
      })
      .finally(() => {
        this.#reading = undefined;
      });
    return this.#reading;
  }
}
