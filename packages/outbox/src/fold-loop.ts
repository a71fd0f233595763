// The one loop that folds: gathers what is pending on all owned shards into one transaction with their
// cursors, then lets the folder do its timed work. Nothing of a consumer ever folds beside it.
import { setImmediate } from "node:timers/promises";
import { type Clock, Wakeup } from "@muster/core";
import { backoffMs } from "./backoff.ts";
import { ATTEMPTS_MAX, type ConsumerTimings, type ShardConsumerOptions } from "./consumer-options.ts";
import { advanceCursors, type ConsumerKey, type CursorStep } from "./cursor-store.ts";
import { DeadLetters } from "./dead-letters.ts";
import { FoldMetrics } from "./fold-metrics.ts";
import { gather, type Picked } from "./gather.ts";
import type { OwnedShard } from "./owned-shard.ts";
import { isPoison, isUnavailable, LostOwnership, OwnedView } from "./ownership.ts";
import { Refetcher } from "./refetcher.ts";

export interface FoldHooks {
  /** A transaction has committed: this shard is folded up to here. */
  folded(shard: number, position: number): void;
  /** After each such transaction. */
  committed(): void;
  /** The table says otherwise than we thought: find out what we own. */
  resync(): Promise<void>;
}

const BACKOFF_MS_MAX = 5_000;
const SLEEP_MS_MAX = 60_000;

export class FoldLoop {
  readonly #options: ShardConsumerOptions;
  readonly #timings: ConsumerTimings;
  readonly #key: ConsumerKey;
  readonly #clock: Clock;
  readonly #shards: ReadonlyMap<number, OwnedShard>;
  readonly #hooks: FoldHooks;
  readonly #letters: DeadLetters;
  readonly #refetcher: Refetcher;
  readonly #metrics: FoldMetrics;
  readonly #wakeup = new Wakeup();
  readonly #replays = new Set<string>();
  #turn = 0;
  #refetchAtMs = 0;
  /** Epoch ms, as the folder says it. */
  #workAtMs = 0;
  #workWanted = true;
  #workFailures = 0;

  constructor(
    options: ShardConsumerOptions,
    timings: ConsumerTimings,
    shards: ReadonlyMap<number, OwnedShard>,
    hooks: FoldHooks,
  ) {
    this.#options = options;
    this.#timings = timings;
    this.#key = { consumer: options.consumer, source: options.source };
    this.#clock = options.clock;
    this.#shards = shards;
    this.#hooks = hooks;
    this.#letters = new DeadLetters(options);
    this.#metrics = new FoldMetrics(options.metrics, options.consumer, options.source);
    this.#refetcher = new Refetcher(options, timings, () => this.wake());
  }

  /** Something has arrived. */
  wake(): void {
    this.#wakeup.notify();
  }

  wakeWork(): void {
    this.#workWanted = true;
    this.wake();
  }

  async lookForReplays(): Promise<void> {
    for (const id of await this.#letters.requested(this.#shards)) this.#replays.add(id);
    if (this.#replays.size > 0) this.wake();
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#refetchAtMs = this.#refetcher.schedule(this.#shards.values());
      await this.#buryUndecodable();
      await this.#replay();
      const hasFolded = await this.#foldPending(signal);
      const hasWorked = await this.#work(signal);
      // A turn for deliveries and requests, even when every promise above was settled already.
      if (hasFolded || hasWorked) await setImmediate();
      else await this.#wakeup.wait(this.#clock, this.#sleepMs(), signal);
    }
  }

  async #foldPending(signal: AbortSignal): Promise<boolean> {
    const shards = [...this.#shards.values()];
    this.#turn = (this.#turn + 1) % Math.max(1, shards.length);
    const inTurn = [...shards.slice(this.#turn), ...shards.slice(0, this.#turn)];
    const { batch, suspects } = gather(inTurn, this.#clock.monotonicMs());
    let hasFolded = false;
    if (batch.length > 0) hasFolded = await this.#fold(batch, signal);
    for (const suspect of suspects) {
      if (signal.aborted) break;
      if (await this.#fold([suspect], signal)) hasFolded = true;
    }
    if (hasFolded) this.#workWanted = true;
    return hasFolded;
  }

  /** True if something was committed. */
  async #fold(batch: readonly Picked[], signal: AbortSignal): Promise<boolean> {
    // Whatever was learnt since they were gathered (a commit whose answer was lost), nothing folds twice.
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
      if (owned.failures > 0)
        this.#options.log.info({ shard: owned.shard }, "the shard is being folded again");
      owned.failures = 0;
      owned.notBeforeMs = 0;
      if (owned.suspect !== undefined && owned.suspect.position <= step.to) owned.suspect = undefined;
      this.#hooks.folded(owned.shard, step.to);
    }
    this.#hooks.committed();
  }

  async #foldFailed(batch: readonly Picked[], error: unknown, signal: AbortSignal): Promise<boolean> {
    this.#metrics.failed();
    if (error instanceof LostOwnership) return this.#resync(batch);
    const [first] = batch;
    const isAlone = batch.length === 1 && first?.envelopes.length === 1;
    if (isPoison(error)) {
      return isAlone ? this.#poisoned(first, error) : this.#foldOneByOne(batch, signal);
    }
    if (batch.length > 1 && !isUnavailable(error)) {
      // One shard's trouble must not hold up the others'.
      let hasFolded = false;
      for (const picked of batch) {
        if (!signal.aborted && (await this.#fold([picked], signal))) hasFolded = true;
      }
      return hasFolded;
    }
    this.#delay(batch, error);
    return false;
  }

  /** Finds the culprit: each message in a transaction of its own, a shard only up to its first failure. */
  async #foldOneByOne(batch: readonly Picked[], signal: AbortSignal): Promise<boolean> {
    let hasFolded = false;
    for (const { owned, envelopes } of batch) {
      for (const envelope of envelopes) {
        if (signal.aborted || !(await this.#fold([{ owned, envelopes: [envelope] }], signal))) break;
        hasFolded = true;
      }
    }
    return hasFolded;
  }

  /** A message that failed alone, and by its own fault. */
  async #poisoned(picked: Picked, error: unknown): Promise<boolean> {
    const { owned } = picked;
    const position = owned.inbox.folded + 1;
    const before = owned.suspect?.position === position ? owned.suspect.attempts : 0;
    owned.suspect = { position, attempts: before + 1 };
    if (owned.suspect.attempts < ATTEMPTS_MAX) {
      this.#delay([picked], error);
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
      if (burialError instanceof LostOwnership) return this.#resync([picked]);
      this.#delay([picked], burialError);
      return false;
    }
    this.#letters.announce(step.shard, step.to, error);
    this.#committed([picked], [step]);
    return true;
  }

  #delay(batch: readonly Picked[], error: unknown): void {
    const nowMs = this.#clock.monotonicMs();
    const isNews = batch.every(({ owned }) => owned.failures === 0);
    for (const { owned } of batch) {
      owned.failures += 1;
      const range = { minMs: this.#timings.retryMs, maxMs: BACKOFF_MS_MAX };
      owned.notBeforeMs = nowMs + backoffMs(owned.failures, range);
    }
    if (!isNews) return;
    const shards = batch.map(({ owned }) => owned.shard);
    this.#options.log.error({ err: error, ...this.#key, shards }, "messages can't be folded; trying again");
  }

  async #resync(batch: readonly Picked[]): Promise<boolean> {
    try {
      await this.#hooks.resync();
    } catch (error) {
      this.#delay(batch, error);
      return false;
    }
    // A moment, lest a table that contradicts us keeps us spinning.
    const notBeforeMs = this.#clock.monotonicMs() + this.#timings.retryMs;
    for (const { owned } of batch) owned.notBeforeMs = Math.max(owned.notBeforeMs, notBeforeMs);
    return false;
  }

  async #buryUndecodable(): Promise<void> {
    for (const owned of this.#shards.values()) {
      while (owned.undecodable.length > 0 && owned.notBeforeMs <= this.#clock.monotonicMs()) {
        const delivery = owned.undecodable[0];
        if (delivery === undefined) break;
        try {
          await this.#letters.buryUndecodable(owned, delivery.raw);
          owned.undecodable.shift();
          delivery.ack();
        } catch (error) {
          const picked = { owned, envelopes: [] };
          if (error instanceof LostOwnership) await this.#resync([picked]);
          else this.#delay([picked], error);
          break;
        }
      }
    }
  }

  async #replay(): Promise<void> {
    for (const id of [...this.#replays]) {
      this.#replays.delete(id);
      try {
        await this.#letters.replay(id, this.#shards);
        this.#workWanted = true;
      } catch (error) {
        // Still requested in the table: the next look finds it again.
        this.#options.log.warn({ err: error, id }, "a replay has to wait");
      }
    }
  }

  /** True if the folder wants to go on at once. */
  async #work(signal: AbortSignal): Promise<boolean> {
    // After a failure even a wake waits for its time.
    const isWanted = this.#workWanted && this.#workFailures === 0;
    const isDue = isWanted || this.#clock.nowMs() >= this.#workAtMs;
    if (!isDue || this.#shards.size === 0 || signal.aborted) return false;
    this.#workWanted = false;
    try {
      this.#workAtMs = await this.#options.folder.work(
        new OwnedView(this.#options.database, this.#key, this.#shards),
      );
      if (this.#workFailures > 0) this.#options.log.info({}, "timed work goes on");
      this.#workFailures = 0;
      return this.#workWanted || this.#workAtMs <= this.#clock.nowMs();
    } catch (error) {
      await this.#workFailed(error);
      return false;
    }
  }

  async #workFailed(error: unknown): Promise<void> {
    this.#workFailures += 1;
    const waitMs = backoffMs(this.#workFailures, { minMs: this.#timings.retryMs, maxMs: BACKOFF_MS_MAX });
    this.#workAtMs = this.#clock.nowMs() + waitMs;
    if (error instanceof LostOwnership) await this.#resync([]);
    else if (this.#workFailures === 1) {
      this.#options.log.error({ err: error, ...this.#key }, "timed work failed; trying again");
    }
  }

  #sleepMs(): number {
    const nowMs = this.#clock.monotonicMs();
    let waitMs = Math.min(SLEEP_MS_MAX, this.#refetchAtMs - nowMs);
    if (this.#shards.size > 0) waitMs = Math.min(waitMs, this.#workAtMs - this.#clock.nowMs());
    for (const { notBeforeMs } of this.#shards.values()) {
      if (notBeforeMs > nowMs) waitMs = Math.min(waitMs, notBeforeMs - nowMs);
    }
    return Math.max(1, Math.ceil(waitMs));
  }
}

/** Whether the messages still follow what is folded. */
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
