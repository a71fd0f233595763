// Runs the projection's background work between batches: when it is due, when woken, and after every applied
// batch.
import { backoffMs, type Clock } from "@muster/core";
import type { ConsumerTimings, ShardConsumerOptions } from "../owned-shards/consumer-options.ts";
import type { ConsumerKey } from "../owned-shards/cursor-store.ts";
import type { OwnedShard } from "../owned-shards/owned-shard.ts";
import { LostOwnership, OwnedView } from "../owned-shards/ownership.ts";

const BACKOFF_MS_MAX = 5_000;

export class BackgroundWork {
  readonly #options: ShardConsumerOptions;
  readonly #timings: ConsumerTimings;
  readonly #key: ConsumerKey;
  readonly #clock: Clock;
  readonly #shards: ReadonlyMap<number, OwnedShard>;
  readonly #resync: () => Promise<unknown>;
  /** Next time at which the projection requested to run, in epoch milliseconds. */
  #nextRunMs = 0;
  #requested = true;
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

  request(): void {
    this.#requested = true;
  }

  /** Time until the work is due by itself, in milliseconds. */
  waitMs(): number {
    return this.#shards.size === 0 ? Number.POSITIVE_INFINITY : this.#nextRunMs - this.#clock.nowMs();
  }

  /** Runs the work if it is due. Returns whether the projection requests to continue at once. */
  async run(signal: AbortSignal): Promise<boolean> {
    // After a failure, a wake-up does not shorten the wait.
    const isRequested = this.#requested && this.#failures === 0;
    const isDue = isRequested || this.#clock.nowMs() >= this.#nextRunMs;
    if (!isDue || this.#shards.size === 0 || signal.aborted) return false;
    this.#requested = false;
    try {
      this.#nextRunMs = await this.#options.projection.work(
        new OwnedView(this.#options.database, this.#key, this.#shards),
        signal,
      );
      if (this.#failures > 0) this.#options.log.info({}, "background work succeeds again");
      this.#failures = 0;
      return this.#requested || this.#nextRunMs <= this.#clock.nowMs();
    } catch (error) {
      await this.#failed(error);
      return false;
    }
  }

  async #failed(error: unknown): Promise<void> {
    this.#failures += 1;
    const waitMs = backoffMs(this.#failures, {
      minMs: this.#timings.retryMs,
      maxMs: BACKOFF_MS_MAX,
      jitter: "half",
    });
    this.#nextRunMs = this.#clock.nowMs() + waitMs;
    if (error instanceof LostOwnership) await this.#resync();
    else if (this.#failures === 1) {
      this.#options.log.error({ err: error, ...this.#key }, "background work failed; retrying");
    }
  }
}
