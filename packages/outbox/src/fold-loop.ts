// The apply loop is the only part of a consumer that applies messages. It selects pending messages of all
// owned shards, applies them in one transaction with their cursors, and then runs the projection's background
// work.
import { setImmediate } from "node:timers/promises";
import { type Clock, Wakeup } from "@muster/core";
import type { ConsumerTimings, ShardConsumerOptions } from "./consumer-options.ts";
import { DeadLetters } from "./dead-letters.ts";
import { type FoldHooks, Folding } from "./folding.ts";
import { gather } from "./gather.ts";
import type { OwnedShard } from "./owned-shard.ts";
import { LostOwnership } from "./ownership.ts";
import { Refetcher } from "./refetcher.ts";
import { TimedWork } from "./timed-work.ts";

const SLEEP_MS_MAX = 60_000;

export class FoldLoop {
  readonly #options: ShardConsumerOptions;
  readonly #clock: Clock;
  readonly #shards: ReadonlyMap<number, OwnedShard>;
  readonly #letters: DeadLetters;
  readonly #refetcher: Refetcher;
  readonly #folding: Folding;
  readonly #work: TimedWork;
  readonly #wakeup = new Wakeup();
  readonly #replays = new Set<string>();
  #turn = 0;
  #refetchAtMs = 0;
  /** Start of the current pass (monotonic): work that becomes due during the pass waits for the next pass. */
  #passMs = 0;

  constructor(
    options: ShardConsumerOptions,
    timings: ConsumerTimings,
    shards: ReadonlyMap<number, OwnedShard>,
    hooks: FoldHooks,
  ) {
    this.#options = options;
    this.#clock = options.clock;
    this.#shards = shards;
    this.#letters = new DeadLetters(options);
    this.#folding = new Folding(options, timings, this.#letters, hooks);
    this.#work = new TimedWork(options, timings, shards, () => this.#folding.resync([]));
    this.#refetcher = new Refetcher(options, timings, () => this.wake());
  }

  /** A message has arrived. */
  wake(): void {
    this.#wakeup.notify();
  }

  wakeWork(): void {
    this.#work.want();
    this.wake();
  }

  async lookForReplays(): Promise<void> {
    for (const id of await this.#letters.requested(this.#shards)) this.#replays.add(id);
    if (this.#replays.size > 0) this.wake();
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#passMs = this.#clock.monotonicMs();
      this.#refetchAtMs = this.#refetcher.schedule(this.#shards.values());
      await this.#buryUndecodable();
      await this.#replay();
      const hasFolded = await this.#foldPending(signal);
      const hasWorked = await this.#work.run(signal);
      // A turn of the event loop for deliveries and requests, even when every promise above was resolved
      // already.
      if (hasFolded || hasWorked) await setImmediate();
      else await this.#wakeup.wait(this.#clock, this.#sleepMs(), signal);
    }
  }

  async #foldPending(signal: AbortSignal): Promise<boolean> {
    const shards = [...this.#shards.values()];
    this.#turn = (this.#turn + 1) % Math.max(1, shards.length);
    const inTurn = [...shards.slice(this.#turn), ...shards.slice(0, this.#turn)];
    const { batch, suspects } = gather(inTurn, this.#passMs);
    let hasFolded = false;
    if (batch.length > 0) hasFolded = await this.#folding.fold(batch, signal);
    for (const suspect of suspects) {
      if (signal.aborted) break;
      if (await this.#folding.fold([suspect], signal)) hasFolded = true;
    }
    if (hasFolded) this.#work.want();
    return hasFolded;
  }

  async #buryUndecodable(): Promise<void> {
    for (const owned of this.#shards.values()) {
      while (owned.undecodable.length > 0 && owned.notBeforeMs <= this.#passMs) {
        const delivery = owned.undecodable[0];
        if (delivery === undefined) break;
        try {
          await this.#letters.buryUndecodable(owned, delivery.raw);
          owned.undecodable.shift();
          delivery.ack();
        } catch (error) {
          const picked = { owned, envelopes: [] };
          if (error instanceof LostOwnership) await this.#folding.resync([picked]);
          else this.#folding.delay([picked], error);
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
        this.#work.want();
      } catch (error) {
        // The table still holds the request: the next read finds it again.
        this.#options.log.warn({ err: error, id }, "a dead letter cannot be replayed now; retrying");
      }
    }
  }

  #sleepMs(): number {
    const nowMs = this.#clock.monotonicMs();
    let waitMs = Math.min(SLEEP_MS_MAX, this.#refetchAtMs - nowMs, this.#work.waitMs());
    for (const { notBeforeMs } of this.#shards.values()) {
      if (notBeforeMs > this.#passMs) waitMs = Math.min(waitMs, notBeforeMs - nowMs);
    }
    return Math.max(1, Math.ceil(waitMs));
  }
}
