// Reports applied positions to the producer, which needs the positions to trim the outbox and to compute the
// backlog.
import { withTimeout } from "@muster/core";
import { FailureLog } from "@muster/log";
import type { ConsumerTimings, ShardConsumerOptions } from "../owned-shards/consumer-options.ts";
import { readCursors } from "../owned-shards/cursor-store.ts";
import type { OwnedShard } from "../owned-shards/owned-shard.ts";
import type { AppliedShard } from "../ports/ports.ts";

/** Positions are reported again although unchanged, because reports may arrive out of order or be lost. */
const REPEAT_MS = 10_000;
const RESPONSE_MS_MAX = 5_000;

export class PositionReporter {
  readonly #options: ShardConsumerOptions;
  readonly #timings: ConsumerTimings;
  readonly #shards: ReadonlyMap<number, OwnedShard>;
  readonly #reported = new Map<number, number>();
  #repeatAtMs = 0;
  #registered = false;
  readonly #failures: FailureLog;

  constructor(
    options: ShardConsumerOptions,
    timings: ConsumerTimings,
    shards: ReadonlyMap<number, OwnedShard>,
  ) {
    this.#options = options;
    this.#timings = timings;
    this.#shards = shards;
    this.#failures = new FailureLog(options.log, {
      failed: "applied positions cannot be reported; retrying",
      recovered: "applied positions are reported again",
    });
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.report();
      await this.#options.clock.sleep(this.#timings.reportMs, signal);
    }
  }

  async report(): Promise<void> {
    const nowMs = this.#options.clock.monotonicMs();
    const isRepeat = nowMs >= this.#repeatAtMs;
    try {
      // Registers the consumer for every shard, with any owner, before the first trim.
      const changed = this.#registered ? this.#changed(isRepeat) : await this.#everyShard();
      if (changed.length > 0) await this.#send(changed);
      for (const { shard, position } of changed) this.#reported.set(shard, position);
      this.#registered = true;
      if (isRepeat) this.#repeatAtMs = nowMs + REPEAT_MS;
      this.#failures.succeeded();
    } catch (error) {
      this.#failures.failed(error);
    }
  }

  #changed(isRepeat: boolean): AppliedShard[] {
    const changed: AppliedShard[] = [];
    for (const { shard, inbox } of this.#shards.values()) {
      if (!isRepeat && this.#reported.get(shard) === inbox.applied) continue;
      changed.push({ shard, position: inbox.applied, itemsThrough: inbox.itemsThrough });
    }
    return changed;
  }

  async #everyShard(): Promise<AppliedShard[]> {
    const { database, consumer, source } = this.#options;
    const rows = await readCursors(database.reader, { consumer, source });
    return rows.map(({ shard, position, itemsThrough }) => ({ shard, position, itemsThrough }));
  }

  async #send(shards: readonly AppliedShard[]): Promise<void> {
    const { clock, producer, consumer } = this.#options;
    await withTimeout(clock, RESPONSE_MS_MAX, producer.reportApplied(consumer, shards), () => {
      throw new Error("the producer did not respond in time");
    });
  }
}
