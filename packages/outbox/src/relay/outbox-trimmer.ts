// Deletes messages of an outbox that are old, published and applied by every registered consumer, in small steps.
import { ALL_SHARDS, type Clock } from "@muster/core";
import type { Database } from "@muster/db";
import type { Logger } from "@muster/log";
import { trimShard } from "./relay-store.ts";

export interface TrimTimings {
  readonly trimEveryMs: number;
  /** Shortest time to keep published messages. */
  readonly keepMs: number;
}

/** Longest wait for the first trim after a start. */
const FIRST_TRIM_MS_MAX = 60_000;
/** Most rows deleted by one transaction. */
const TRIM_ROWS = 500;

export class OutboxTrimmer {
  readonly #clock: Clock;
  readonly #database: Database;
  readonly #log: Logger;
  readonly #timings: TrimTimings;
  #nextTrimMs = 0;

  constructor(options: {
    readonly clock: Clock;
    readonly database: Database;
    readonly log: Logger;
    readonly timings: TrimTimings;
  }) {
    this.#clock = options.clock;
    this.#database = options.database;
    this.#log = options.log;
    this.#timings = options.timings;
  }

  start(): void {
    this.#nextTrimMs = this.#clock.nowMs() + Math.min(FIRST_TRIM_MS_MAX, this.#timings.trimEveryMs);
  }

  get isDue(): boolean {
    return this.#clock.nowMs() >= this.#nextTrimMs;
  }

  /** Trims every shard. Between two steps `ensureLease` renews the relay's lease; false ends the trim. */
  async trim(signal: AbortSignal, ensureLease: () => Promise<boolean>): Promise<void> {
    const writtenBeforeMs = this.#clock.nowMs() - this.#timings.keepMs;
    let trimmed = 0;
    for (const shard of ALL_SHARDS) {
      for (;;) {
        const count = await this.#database.transaction((trx) =>
          trimShard(trx, { shard, writtenBeforeMs, limit: TRIM_ROWS }),
        );
        trimmed += count;
        if (count < TRIM_ROWS || signal.aborted) break;
        if (!(await ensureLease())) return;
      }
    }
    this.#nextTrimMs = this.#clock.nowMs() + this.#timings.trimEveryMs;
    if (trimmed > 0) this.#log.info({ trimmed }, "outbox trimmed");
  }
}
