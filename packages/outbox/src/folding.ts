// Applies one batch of messages: the projection's writes and the cursors commit in one transaction. Failures
// are handled by cause: a lost shard, a message that always fails, or a temporary problem.
import type { Clock } from "@muster/core";
import { backoffMs } from "./backoff.ts";
import { ATTEMPTS_MAX, type ConsumerTimings, type ShardConsumerOptions } from "./consumer-options.ts";
import { advanceCursors, type ConsumerKey, type CursorStep } from "./cursor-store.ts";
import type { DeadLetters } from "./dead-letters.ts";
import { FoldMetrics } from "./fold-metrics.ts";
import type { Picked } from "./gather.ts";
import { isPoison, isUnavailable, LostOwnership } from "./ownership.ts";

export interface FoldHooks {
  /** A transaction has committed: this shard is applied up to `position`. */
  folded(shard: number, position: number): void;
  /** Called after each transaction that has applied messages. */
  committed(): void;
  /** The cursor table contradicts the state in memory: the owned shards must be read again. */
  resync(): Promise<void>;
}

const BACKOFF_MS_MAX = 5_000;

export class Folding {
  readonly #options: ShardConsumerOptions;
  readonly #timings: ConsumerTimings;
  readonly #key: ConsumerKey;
  readonly #clock: Clock;
  readonly #hooks: FoldHooks;
  readonly #letters: DeadLetters;
  readonly #metrics: FoldMetrics;

  constructor(
    options: ShardConsumerOptions,
    timings: ConsumerTimings,
    letters: DeadLetters,
    hooks: FoldHooks,
  ) {
    this.#options = options;
    this.#timings = timings;
    this.#key = { consumer: options.consumer, source: options.source };
    this.#clock = options.clock;
    this.#letters = letters;
    this.#hooks = hooks;
    this.#metrics = new FoldMetrics(options.metrics, options.consumer, options.source);
  }

  /** Applies a batch. Returns whether messages are applied. */
  async fold(batch: readonly Picked[], signal: AbortSignal): Promise<boolean> {
    // The positions may have advanced since the batch was selected (a commit whose response was lost). No
    // message is applied twice.
    if (!batch.every(isNext)) return true;
    const startMs = this.#clock.monotonicMs();
    const messages = batch.flatMap((picked) => picked.envelopes);
    const steps = batch.map(stepOf);
    try {
      await this.#options.database.transaction(async (trx) => {
        await this.#options.folder.fold(trx, messages);
        if (!(await advanceCursors(trx, this.#key, steps))) throw new LostOwnership();
      });
    } catch (error) {
      return this.#foldFailed(batch, error, signal);
    }
    this.#metrics.folded(messages.length, itemsOf(batch), (this.#clock.monotonicMs() - startMs) / 1000);
    this.#committed(batch, steps);
    return true;
  }

  #committed(batch: readonly Picked[], steps: readonly CursorStep[]): void {
    for (const [index, { owned }] of batch.entries()) {
      const step = steps[index];
      if (step === undefined) continue;
      for (const delivery of owned.inbox.advance(step.to, step.itemsThrough)) delivery.ack();
      if (owned.failures > 0) this.#options.log.info({ shard: owned.shard }, "the shard is applied again");
      owned.failures = 0;
      owned.notBeforeMs = 0;
      if (owned.suspect !== undefined && owned.suspect.position <= step.to) owned.suspect = undefined;
      this.#hooks.folded(owned.shard, step.to);
    }
    this.#hooks.committed();
  }

  async #foldFailed(batch: readonly Picked[], error: unknown, signal: AbortSignal): Promise<boolean> {
    this.#metrics.failed();
    if (error instanceof LostOwnership) return this.resync(batch);
    const [first] = batch;
    const isAlone = batch.length === 1 && first?.envelopes.length === 1;
    if (isPoison(error)) {
      return isAlone ? this.#poisoned(first, error) : this.#foldOneByOne(batch, signal);
    }
    if (batch.length > 1 && !isUnavailable(error)) {
      // A failure of one shard must not delay the other shards.
      let hasFolded = false;
      for (const picked of batch) {
        if (!signal.aborted && (await this.fold([picked], signal))) hasFolded = true;
      }
      return hasFolded;
    }
    this.delay(batch, error);
    return false;
  }

  /**
   * Finds the failing message: each message runs in a separate transaction, each shard up to the first
   * failure.
   */
  async #foldOneByOne(batch: readonly Picked[], signal: AbortSignal): Promise<boolean> {
    let hasFolded = false;
    for (const { owned, envelopes } of batch) {
      for (const envelope of envelopes) {
        if (signal.aborted || !(await this.fold([{ owned, envelopes: [envelope] }], signal))) break;
        hasFolded = true;
      }
    }
    return hasFolded;
  }

  /** Handles a message that failed alone, because of the message's own content. */
  async #poisoned(picked: Picked, error: unknown): Promise<boolean> {
    const { owned } = picked;
    const position = owned.inbox.folded + 1;
    const before = owned.suspect?.position === position ? owned.suspect.attempts : 0;
    owned.suspect = { position, attempts: before + 1 };
    if (owned.suspect.attempts < ATTEMPTS_MAX) {
      this.delay([picked], error);
      return false;
    }
    return this.#bury(picked, error);
  }

  async #bury(picked: Picked, error: unknown): Promise<boolean> {
    const [envelope] = picked.envelopes;
    if (envelope === undefined || !isNext(picked)) return false;
    const step = stepOf(picked);
    try {
      await this.#options.database.transaction(async (trx) => {
        await this.#letters.bury(trx, picked.owned, envelope, error);
        if (!(await advanceCursors(trx, this.#key, [step]))) throw new LostOwnership();
      });
    } catch (burialError) {
      if (burialError instanceof LostOwnership) return this.resync([picked]);
      this.delay([picked], burialError);
      return false;
    }
    this.#letters.announce(step.shard, step.to, error);
    this.#committed([picked], [step]);
    return true;
  }

  /** Delays the shards of a batch after a failure. */
  delay(batch: readonly Picked[], error: unknown): void {
    const nowMs = this.#clock.monotonicMs();
    const isNews = batch.every(({ owned }) => owned.failures === 0);
    for (const { owned } of batch) {
      owned.failures += 1;
      const range = { minMs: this.#timings.retryMs, maxMs: BACKOFF_MS_MAX };
      owned.notBeforeMs = nowMs + backoffMs(owned.failures, range);
    }
    if (!isNews) return;
    const shards = batch.map(({ owned }) => owned.shard);
    this.#options.log.error({ err: error, ...this.#key, shards }, "messages cannot be applied; retrying");
  }

  /**
   * Reads the owned shards again after the table contradicted them. Always false, because nothing was
   * applied.
   */
  async resync(batch: readonly Picked[]): Promise<boolean> {
    try {
      await this.#hooks.resync();
    } catch (error) {
      this.delay(batch, error);
      return false;
    }
    // A short wait, so that a table that keeps contradicting the state does not cause a busy loop.
    const notBeforeMs = this.#clock.monotonicMs() + this.#timings.retryMs;
    for (const { owned } of batch) owned.notBeforeMs = Math.max(owned.notBeforeMs, notBeforeMs);
    return false;
  }
}

/** Whether the messages still follow the applied position. */
function isNext({ owned, envelopes }: Picked): boolean {
  return Number(envelopes[0]?.position ?? 0n) === owned.inbox.folded + 1;
}

function stepOf({ owned, envelopes }: Picked): CursorStep {
  const last = envelopes.at(-1);
  return {
    shard: owned.shard,
    epoch: owned.epoch,
    from: owned.inbox.folded,
    to: Number(last?.position ?? owned.inbox.folded),
    itemsThrough: Number(last?.itemsThrough ?? owned.inbox.itemsThrough),
  };
}

function itemsOf(batch: readonly Picked[]): number {
  let items = 0;
  for (const picked of batch) items += stepOf(picked).itemsThrough - picked.owned.inbox.itemsThrough;
  return items;
}
