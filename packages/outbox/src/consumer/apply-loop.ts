// The apply loop is the only part of a consumer that applies messages. It selects pending messages of all
// owned shards, applies them in one transaction with their cursors, and then runs the projection's background
// work.
import { setImmediate } from "node:timers/promises";
import { type Clock, Wakeup } from "@muster/core";
import { FailureLog } from "@muster/log";
import { DeadLetters } from "../dead-letters/dead-letters.ts";
import type { ConsumerTimings, ShardConsumerOptions } from "../owned-shards/consumer-options.ts";
import type { OwnedShard } from "../owned-shards/owned-shard.ts";
import { LostOwnership } from "../owned-shards/ownership.ts";
import { BackgroundWork } from "./background-work.ts";
import { type ApplyHooks, MessageApplier } from "./message-applier.ts";
import { Refetcher } from "./refetcher.ts";
import { selectBatch } from "./select-batch.ts";

const SLEEP_MS_MAX = 60_000;

export class ApplyLoop {
  readonly #clock: Clock;
  readonly #shards: ReadonlyMap<number, OwnedShard>;
  readonly #deadLetters: DeadLetters;
  readonly #refetcher: Refetcher;
  readonly #applier: MessageApplier;
  readonly #backgroundWork: BackgroundWork;
  readonly #wakeup = new Wakeup();
  readonly #replays = new Set<string>();
  readonly #replayFailures: FailureLog;
  #turn = 0;
  #refetchAtMs = 0;
  /** Start of the current pass (monotonic): work that becomes due during the pass waits for the next pass. */
  #passMs = 0;

  constructor(
    options: ShardConsumerOptions,
    timings: ConsumerTimings,
    shards: ReadonlyMap<number, OwnedShard>,
    hooks: ApplyHooks,
  ) {
    this.#clock = options.clock;
    this.#shards = shards;
    this.#deadLetters = new DeadLetters(options);
    this.#applier = new MessageApplier(options, timings, this.#deadLetters, hooks);
    this.#backgroundWork = new BackgroundWork(options, timings, shards, () => this.#applier.resync([]));
    this.#replayFailures = new FailureLog(options.log, {
      failed: "dead letters cannot be replayed now; retrying",
      recovered: "dead letters can be replayed again",
    });
    this.#refetcher = new Refetcher(options, timings, () => this.wake());
  }

  /** A message has arrived. */
  wake(): void {
    this.#wakeup.notify();
  }

  wakeBackgroundWork(): void {
    this.#backgroundWork.request();
    this.wake();
  }

  async findReplays(): Promise<void> {
    for (const id of await this.#deadLetters.findReplayRequests(this.#shards)) this.#replays.add(id);
    if (this.#replays.size > 0) this.wake();
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#passMs = this.#clock.monotonicMs();
      this.#refetchAtMs = this.#refetcher.schedule(this.#shards.values());
      await this.#setAsideUndecodable();
      await this.#replay();
      const hasApplied = await this.#applyPending(signal);
      const hasWorked = await this.#backgroundWork.run(signal);
      // A turn of the event loop for deliveries and requests, even when every promise above was resolved
      // already.
      if (hasApplied || hasWorked) await setImmediate();
      else await this.#wakeup.wait(this.#clock, this.#sleepMs(), signal);
    }
  }

  /** Returns whether messages are applied, or may be applied in another pass at once. */
  async #applyPending(signal: AbortSignal): Promise<boolean> {
    const shards = [...this.#shards.values()];
    this.#turn = (this.#turn + 1) % Math.max(1, shards.length);
    const inTurn = [...shards.slice(this.#turn), ...shards.slice(0, this.#turn)];
    const { batch, isolatedBatches } = selectBatch(inTurn, this.#passMs);
    let hasApplied = batch.length > 0 && (await this.#applier.apply(batch, signal));
    for (const [index, isolatedBatch] of isolatedBatches.entries()) {
      if (signal.aborted) break;
      if (await this.#applier.apply([isolatedBatch], signal)) {
        hasApplied = true;
      } else if (isolatedBatch.owned.isBlocked) {
        // A pass waits for a single lock: meanwhile the other shards have new messages.
        hasApplied ||= index + 1 < isolatedBatches.length;
        break;
      }
    }
    if (hasApplied) this.#backgroundWork.request();
    return hasApplied;
  }

  async #setAsideUndecodable(): Promise<void> {
    for (const owned of this.#shards.values()) {
      while (owned.undecodable.length > 0 && owned.notBeforeMs <= this.#passMs) {
        const delivery = owned.undecodable[0];
        if (delivery === undefined) break;
        try {
          await this.#deadLetters.setAsideUndecodable(owned, delivery.raw);
          owned.undecodable.shift();
          delivery.ack();
        } catch (error) {
          const shardBatch = { owned, envelopes: [] };
          if (error instanceof LostOwnership) await this.#applier.resync([shardBatch]);
          else this.#applier.delay([shardBatch], error);
          break;
        }
      }
    }
  }

  async #replay(): Promise<void> {
    for (const id of [...this.#replays]) {
      this.#replays.delete(id);
      try {
        await this.#deadLetters.replay(id, this.#shards);
        this.#backgroundWork.request();
        this.#replayFailures.succeeded();
      } catch (error) {
        // The table still holds the request: the next read finds it again.
        this.#replayFailures.failed(error, { id });
      }
    }
  }

  #sleepMs(): number {
    const nowMs = this.#clock.monotonicMs();
    let waitMs = Math.min(SLEEP_MS_MAX, this.#refetchAtMs - nowMs, this.#backgroundWork.waitMs());
    for (const { notBeforeMs } of this.#shards.values()) {
      if (notBeforeMs > this.#passMs) waitMs = Math.min(waitMs, notBeforeMs - nowMs);
    }
    return Math.max(1, Math.ceil(waitMs));
  }
}
