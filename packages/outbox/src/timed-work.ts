// The folder's work between folds: called when it asked to be, when woken, and after every fold.
import type { Clock } from "@muster/core";
import { backoffMs } from "./backoff.ts";
import type { ConsumerTimings, ShardConsumerOptions } from "./consumer-options.ts";
import type { ConsumerKey } from "./cursor-store.ts";
import type { OwnedShard } from "./owned-shard.ts";
import { LostOwnership, OwnedView } from "./ownership.ts";

const BACKOFF_MS_MAX = 5_000;

export class TimedWork {
  readonly #options: ShardConsumerOptions;
  readonly #timings: ConsumerTimings;
  readonly #key: ConsumerKey;
  readonly #clock: Clock;
  readonly #shards: ReadonlyMap<number, OwnedShard>;
  readonly #resync: () => Promise<unknown>;
  /** Epoch ms, as the folder says it. */
  #atMs = 0;
  #wanted = true;
  #failures = 0;

  constructor(
    options: ShardConsumerOptions,
    timings: ConsumerTimings,
    shards: ReadonlyMap<number, OwnedShard>,
    resync: () => Promise<unknown>,
  ) {
    this.#options = options;
    this.#timings = timings;
    this.#key = { consumer: options.consumer, source: options.source };
    this.#clock = options.clock;
    this.#shards = shards;
    this.#resync = resync;
  }

  want(): void {
    this.#wanted = true;
  }

  /** How long until it is due by itself. */
  waitMs(): number {
    return this.#shards.size === 0 ? Number.POSITIVE_INFINITY : this.#atMs - this.#clock.nowMs();
  }

  /** True if the folder wants to go on at once. */
  async run(signal: AbortSignal): Promise<boolean> {
    // After a failure even a wake waits for its time.
    const isWanted = this.#wanted && this.#failures === 0;
    const isDue = isWanted || this.#clock.nowMs() >= this.#atMs;
    if (!isDue || this.#shards.size === 0 || signal.aborted) return false;
    this.#wanted = false;
    try {
      this.#atMs = await this.#options.folder.work(
        new OwnedView(this.#options.database, this.#key, this.#shards),
      );
      if (this.#failures > 0) this.#options.log.info({}, "timed work goes on");
      this.#failures = 0;
      return this.#wanted || this.#atMs <= this.#clock.nowMs();
    } catch (error) {
      await this.#failed(error);
      return false;
    }
  }

  async #failed(error: unknown): Promise<void> {
    this.#failures += 1;
    const waitMs = backoffMs(this.#failures, { minMs: this.#timings.retryMs, maxMs: BACKOFF_MS_MAX });
    this.#atMs = this.#clock.nowMs() + waitMs;
    if (error instanceof LostOwnership) await this.#resync();
    else if (this.#failures === 1) {
      this.#options.log.error({ err: error, ...this.#key }, "timed work failed; trying again");
    }
  }
}
