// Applies one batch of messages: the projection's writes and the cursors commit in one transaction. Failures
// are handled by cause: a lost shard, a message that always fails, or a temporary problem.
import { type BackoffPolicy, backoffMs, type Clock } from "@muster/core";
import { isBlocked } from "@muster/db";
import type { DeadLetters } from "../dead-letters/dead-letters.ts";
import {
  ATTEMPTS_MAX,
  type ConsumerTimings,
  type ShardConsumerOptions,
} from "../owned-shards/consumer-options.ts";
import { advanceCursors, type ConsumerKey, type CursorStep } from "../owned-shards/cursor-store.ts";
import { isPoison, isUnavailable, LostOwnership } from "../owned-shards/ownership.ts";
import { ApplyMetrics } from "./apply-metrics.ts";
import { prepareBatch } from "./prepare-batch.ts";
import type { ShardBatch } from "./select-batch.ts";

export interface ApplyHooks {
  /** A transaction has committed: this shard is applied up to `position`. */
  applied(shard: number, position: number): void;
  /** Called after each transaction that has applied messages. */
  committed(): void;
  /** The cursor table contradicts the state in memory: the owned shards must be read again. */
  resync(): Promise<void>;
}

const BACKOFF_MS_MAX = 5_000;

export class MessageApplier {
  readonly #options: ShardConsumerOptions;
  readonly #timings: ConsumerTimings;
  readonly #key: ConsumerKey;
  readonly #clock: Clock;
  readonly #hooks: ApplyHooks;
  readonly #deadLetters: DeadLetters;
  readonly #metrics: ApplyMetrics;

  constructor(
    options: ShardConsumerOptions,
    timings: ConsumerTimings,
    deadLetters: DeadLetters,
    hooks: ApplyHooks,
  ) {
    this.#options = options;
    this.#timings = timings;
    this.#key = { consumer: options.consumer, source: options.source };
    this.#clock = options.clock;
    this.#deadLetters = deadLetters;
    this.#hooks = hooks;
    this.#metrics = new ApplyMetrics(options.metrics, options.consumer, options.source);
  }

  /**
   * Applies a batch, or the first part of the batch. Returns whether messages are applied, or may be applied in
   * another pass at once.
   */
  async apply(selected: readonly ShardBatch[], signal: AbortSignal): Promise<boolean> {
    let batch: readonly ShardBatch[];
    try {
      batch = await prepareBatch(this.#options.projection, selected, signal);
    } catch (error) {
      if (signal.aborted) return false;
      return this.#applyFailed(selected, error, signal);
    }
    // The positions may have advanced since the batch was selected (a commit whose response was lost). No
    // message is applied twice.
    if (!batch.every(isNext)) return true;
    const startMs = this.#clock.monotonicMs();
    const messages = batch.flatMap((shardBatch) => shardBatch.envelopes);
    const steps = batch.map(stepOf);
    // A shard that was blocked before may still be: then the other shards do not wait for long.
    const lockWait = batch.some(({ owned }) => owned.isBlocked) ? "brief" : "once";
    try {
      await this.#options.database.transaction(
        async (trx) => {
          await this.#options.projection.apply(trx, messages);
          if (!(await advanceCursors(trx, this.#key, steps))) throw new LostOwnership();
        },
        { lockWait },
      );
    } catch (error) {
      return this.#applyFailed(batch, error, signal);
    }
    this.#metrics.applied(messages.length, itemsOf(batch), (this.#clock.monotonicMs() - startMs) / 1000);
    this.#committed(batch, steps);
    return true;
  }

  #committed(batch: readonly ShardBatch[], steps: readonly CursorStep[]): void {
    for (const [index, { owned }] of batch.entries()) {
      const step = steps[index];
      if (step === undefined) continue;
      for (const delivery of owned.inbox.advance(step.to, step.itemsThrough)) delivery.ack();
      if (owned.failures > 0) this.#options.log.info({ shard: owned.shard }, "the shard is applied again");
      owned.failures = 0;
      owned.isBlocked = false;
      owned.notBeforeMs = 0;
      if (owned.failingMessage !== undefined && owned.failingMessage.position <= step.to)
        owned.failingMessage = undefined;
      this.#hooks.applied(owned.shard, step.to);
    }
    this.#hooks.committed();
  }

  async #applyFailed(batch: readonly ShardBatch[], error: unknown, signal: AbortSignal): Promise<boolean> {
    this.#metrics.failed();
    if (error instanceof LostOwnership) return this.resync(batch);
    const [first] = batch;
    const isAlone = batch.length === 1 && first?.envelopes.length === 1;
    if (isPoison(error)) {
      return isAlone ? this.#poisoned(first, error) : this.#applyOneByOne(batch, signal);
    }
    if (isBlocked(error)) {
      // Another transaction holds rows, perhaps of a frozen process. From now on each shard is applied separately,
      // until it succeeds, so that only the shards of these rows wait.
      for (const { owned } of batch) owned.isBlocked = true;
      if (batch.length > 1) return true;
    } else if (batch.length > 1 && !isUnavailable(error)) {
      // A failure of one shard must not delay the other shards.
      let hasApplied = false;
      for (const shardBatch of batch) {
        if (!signal.aborted && (await this.apply([shardBatch], signal))) hasApplied = true;
      }
      return hasApplied;
    }
    this.delay(batch, error);
    return false;
  }

  /**
   * Finds the failing message: each message runs in a separate transaction, each shard up to the first
   * failure.
   */
  async #applyOneByOne(batch: readonly ShardBatch[], signal: AbortSignal): Promise<boolean> {
    let hasApplied = false;
    for (const { owned, envelopes } of batch) {
      for (const envelope of envelopes) {
        if (signal.aborted || !(await this.apply([{ owned, envelopes: [envelope] }], signal))) break;
        hasApplied = true;
      }
    }
    return hasApplied;
  }

  /** Handles a message that failed alone, because of the message's own content. */
  async #poisoned(shardBatch: ShardBatch, error: unknown): Promise<boolean> {
    const { owned } = shardBatch;
    const position = owned.inbox.applied + 1;
    const before = owned.failingMessage?.position === position ? owned.failingMessage.attempts : 0;
    owned.failingMessage = { position, attempts: before + 1 };
    if (owned.failingMessage.attempts < ATTEMPTS_MAX) {
      this.delay([shardBatch], error);
      return false;
    }
    return this.#setAside(shardBatch, error);
  }

  async #setAside(shardBatch: ShardBatch, error: unknown): Promise<boolean> {
    const [envelope] = shardBatch.envelopes;
    if (envelope === undefined || !isNext(shardBatch)) return false;
    const step = stepOf(shardBatch);
    try {
      await this.#options.database.transaction(async (trx) => {
        await this.#deadLetters.setAside(trx, shardBatch.owned, envelope, error);
        if (!(await advanceCursors(trx, this.#key, [step]))) throw new LostOwnership();
      });
    } catch (setAsideError) {
      if (setAsideError instanceof LostOwnership) return this.resync([shardBatch]);
      this.delay([shardBatch], setAsideError);
      return false;
    }
    this.#deadLetters.report(step.shard, step.to, error);
    this.#committed([shardBatch], [step]);
    return true;
  }

  /** Delays the shards of a batch after a failure. */
  delay(batch: readonly ShardBatch[], error: unknown): void {
    const nowMs = this.#clock.monotonicMs();
    const isFirstFailure = batch.every(({ owned }) => owned.failures === 0);
    const policy: BackoffPolicy = { minMs: this.#timings.retryMs, maxMs: BACKOFF_MS_MAX, jitter: "half" };
    for (const { owned } of batch) {
      owned.failures += 1;
      owned.notBeforeMs = nowMs + backoffMs(owned.failures, policy);
    }
    const shards = batch.map(({ owned }) => owned.shard);
    if (isFirstFailure) {
      this.#options.log.error({ err: error, ...this.#key, shards }, "messages cannot be applied; retrying");
    }
  }

  /**
   * Reads the owned shards again after the table contradicted them. Always false, because nothing was
   * applied.
   */
  async resync(batch: readonly ShardBatch[]): Promise<boolean> {
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
function isNext({ owned, envelopes }: ShardBatch): boolean {
  return Number(envelopes[0]?.position ?? 0n) === owned.inbox.applied + 1;
}

function stepOf({ owned, envelopes }: ShardBatch): CursorStep {
  const last = envelopes.at(-1);
  return {
    shard: owned.shard,
    fencingToken: owned.fencingToken,
    from: owned.inbox.applied,
    to: Number(last?.position ?? owned.inbox.applied),
    itemsThrough: Number(last?.itemsThrough ?? owned.inbox.itemsThrough),
  };
}

function itemsOf(batch: readonly ShardBatch[]): number {
  let items = 0;
  for (const shardBatch of batch)
    items += stepOf(shardBatch).itemsThrough - shardBatch.owned.inbox.itemsThrough;
  return items;
}
