// Passes the positions that readers wait for to the owners of the shards, through the database of the consumer.
// The broker may be away, and then it delivers neither the messages nor any notification.
import { Wakeup } from "@muster/core";
import { FailureLog } from "@muster/log";
import * as store from "../owned-shards/awaited-position-store.ts";
import type { ShardConsumerOptions } from "../owned-shards/consumer-options.ts";
import type { OwnedShard } from "../owned-shards/owned-shard.ts";

/** Time between two reads of the table. */
const POLL_MS = 250;
/** Time after which a reader's request is written again. */
const REPEAT_MS = 2_000;
/** An older request has no reader: reads wait for at most 10 s. */
const VALID_MS = 15_000;

export class AwaitedPositions {
  readonly #options: ShardConsumerOptions;
  readonly #shards: ReadonlyMap<number, OwnedShard>;
  readonly #requested: () => void;
  readonly #wakeup = new Wakeup();
  readonly #failures: FailureLog;
  /** Requests of readers of this replica that are not written yet, by shard. */
  readonly #pending = new Map<number, number>();
  readonly #written = new Map<number, { position: number; monotonicMs: number }>();

  /** `requested` is called after messages of owned shards were requested from the producer. */
  constructor(options: ShardConsumerOptions, shards: ReadonlyMap<number, OwnedShard>, requested: () => void) {
    this.#options = options;
    this.#shards = shards;
    this.#requested = requested;
    this.#failures = new FailureLog(options.log, {
      failed: "the positions that readers wait for cannot be exchanged; retrying",
      recovered: "the positions that readers wait for are exchanged again",
    });
  }

  /** A reader of this replica has waited for a while. */
  request(positions: readonly number[]): void {
    let isAnotherOwner = false;
    for (const [shard, position] of positions.entries()) {
      const owned = this.#shards.get(shard);
      if (owned !== undefined && position > owned.inbox.contiguousEnd) owned.isRefetchRequested = true;
      if (owned !== undefined || position <= 0) continue;
      this.#pending.set(shard, Math.max(position, this.#pending.get(shard) ?? 0));
      isAnotherOwner = true;
    }
    this.#requested();
    if (isAnotherOwner) this.#wakeup.notify();
  }

  async run(signal: AbortSignal): Promise<void> {
    // With one process, every reader is in the process that owns the shards.
    if (this.#options.exclusive) return;
    while (!signal.aborted) {
      await this.#wakeup.wait(this.#options.clock, POLL_MS, signal);
      if (signal.aborted) return;
      try {
        await this.#writeRequests();
        await this.#readRequests();
        this.#failures.succeeded();
      } catch (error) {
        this.#failures.failed(error);
        await this.#options.clock.sleep(POLL_MS, signal);
      }
    }
  }

  async #writeRequests(): Promise<void> {
    const { clock, database } = this.#options;
    const monotonicMs = clock.monotonicMs();
    const news = [...this.#pending].filter(([shard, position]) => {
      const written = this.#written.get(shard);
      return (
        written === undefined || position > written.position || monotonicMs - written.monotonicMs >= REPEAT_MS
      );
    });
    this.#pending.clear();
    if (news.length === 0) return;
    const requests = news.map(([shard, position]) => ({ shard, position }));
    await database.transaction((trx) =>
      store.saveAwaitedPositions(trx, this.#options, requests, clock.nowMs()),
    );
    for (const { shard, position } of requests) this.#written.set(shard, { position, monotonicMs });
  }

  async #readRequests(): Promise<void> {
    const { clock, database } = this.#options;
    const shards = [...this.#shards.keys()];
    if (shards.length === 0) return;
    const sinceMs = clock.nowMs() - VALID_MS;
    const awaited = await store.readAwaitedPositions(database.reader, this.#options, shards, sinceMs);
    let isMissing = false;
    for (const { shard, position } of awaited) {
      const owned = this.#shards.get(shard);
      if (owned === undefined || position <= owned.inbox.contiguousEnd) continue;
      owned.isRefetchRequested = true;
      isMissing = true;
    }
    if (isMissing) this.#requested();
  }
}
