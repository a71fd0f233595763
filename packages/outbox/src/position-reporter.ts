// Reports applied positions to the producer, which needs the positions to trim the outbox and to compute the
// backlog.
import type { ConsumerTimings, ShardConsumerOptions } from "./consumer-options.ts";
import { readCursors } from "./cursor-store.ts";
import type { OwnedShard } from "./owned-shard.ts";
import type { AppliedShard } from "./ports.ts";

/** Positions are reported again although unchanged, because reports may arrive out of order or be lost. */
const REPEAT_MS = 10_000;
const ANSWER_MS_MAX = 5_000;

export class PositionReporter {
  readonly #options: ShardConsumerOptions;
  readonly #timings: ConsumerTimings;
  readonly #shards: ReadonlyMap<number, OwnedShard>;
  readonly #reported = new Map<number, number>();
  #repeatAtMs = 0;
  #registered = false;
  #failing = false;

  constructor(
    options: ShardConsumerOptions,
    timings: ConsumerTimings,
    shards: ReadonlyMap<number, OwnedShard>,
  ) {
    this.#options = options;
    this.#timings = timings;
    this.#shards = shards;
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
      if (this.#failing) this.#options.log.info({}, "applied positions are reported again");
      this.#failing = false;
    } catch (error) {
      if (!this.#failing)
        this.#options.log.warn({ err: error }, "applied positions cannot be reported; retrying");
      this.#failing = true;
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
    const answered = new AbortController();
    const late = clock.sleep(ANSWER_MS_MAX, answered.signal).then(() => "late" as const);
    try {
      const outcome = await Promise.race([producer.reportApplied(consumer, shards), late]);
      if (outcome === "late") throw new Error("the producer did not answer in time");
    } finally {
      answered.abort();
    }
  }
}
