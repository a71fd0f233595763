// Reads messages from the producer that the bus has not delivered: at a gap, after a takeover, and when a
// shard has been quiet for long. An unreachable producer only causes delays.
import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";
import { backoffMs, withTimeout } from "@muster/core";
import { FailureLog } from "@muster/log";
import {
  type ConsumerTimings,
  HANDOVER_QUIET_MS,
  REFETCH_MAX,
  REFETCH_TIMEOUT_MS,
  type ShardConsumerOptions,
} from "../owned-shards/consumer-options.ts";
import type { OwnedShard } from "../owned-shards/owned-shard.ts";

const BACKOFF_MS_MAX = 5_000;
/** Most messages of a shard in the inbox: with more waiting, nothing is fetched. */
const INBOX_MAX = 256;

export class Refetcher {
  readonly #options: ShardConsumerOptions;
  readonly #timings: ConsumerTimings;
  readonly #arrived: () => void;
  readonly #refetches;
  readonly #failures: FailureLog;

  constructor(options: ShardConsumerOptions, timings: ConsumerTimings, arrived: () => void) {
    this.#options = options;
    this.#timings = timings;
    this.#arrived = arrived;
    this.#failures = new FailureLog(options.log, {
      failed: "the producer cannot be read; retrying",
      recovered: "the producer is readable again",
    });
    this.#refetches = options.metrics.counter(
      "muster_consumer_refetched_messages_total",
      "Messages read from the producer because the bus had not delivered them.",
      ["consumer", "source"],
    );
  }

  /** Starts the fetches that are due. Returns the time of the next one (monotonic). */
  schedule(shards: Iterable<OwnedShard>): number {
    const nowMs = this.#options.clock.monotonicMs();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const owned of shards) {
      if (owned.isRefetching || owned.inbox.size >= INBOX_MAX) continue;
      const isWanted = owned.isRefetchRequested || owned.inbox.hasGap;
      const wantedMs = isWanted ? nowMs : owned.lastArrivalMs + this.#quietMs(owned, nowMs);
      const dueMs = Math.max(wantedMs, owned.refetchNotBeforeMs);
      if (dueMs <= nowMs) void this.#refetch(owned);
      else nextMs = Math.min(nextMs, dueMs);
    }
    return nextMs;
  }

  #quietMs(owned: OwnedShard, nowMs: number): number {
    const { quietMs, handoverMs } = this.#timings;
    // With one process, no other replica can have owned the shard.
    const isHandover = !this.#options.exclusive && nowMs - owned.acquiredMs < handoverMs;
    return isHandover ? Math.min(HANDOVER_QUIET_MS, quietMs) : quietMs;
  }

  async #refetch(owned: OwnedShard): Promise<void> {
    const { clock } = this.#options;
    owned.isRefetching = true;
    owned.isRefetchRequested = false;
    try {
      const after = owned.inbox.contiguousEnd;
      const deliveriesBefore = owned.deliveries;
      const taken = this.#take(owned, await this.#read(owned.shard, after), after);
      // While the bus delivers nothing, the producer is read to its end.
      if (taken > 0 && owned.deliveries === deliveriesBefore) owned.isRefetchRequested = true;
      this.#succeeded(owned);
    } catch (error) {
      owned.isRefetchRequested = true;
      owned.refetchFailures += 1;
      const waitMs = backoffMs(owned.refetchFailures, {
        minMs: this.#timings.retryMs,
        maxMs: BACKOFF_MS_MAX,
        jitter: "half",
      });
      owned.refetchNotBeforeMs = clock.monotonicMs() + waitMs;
      this.#failures.failed(error, { shard: owned.shard });
    }
    owned.isRefetching = false;
    this.#arrived();
  }

  #succeeded(owned: OwnedShard): void {
    const nowMs = this.#options.clock.monotonicMs();
    owned.lastArrivalMs = nowMs;
    owned.refetchFailures = 0;
    // If the producer cannot fill a gap either (a lagging replica), the retry waits.
    owned.refetchNotBeforeMs = owned.inbox.hasGap ? nowMs + this.#timings.retryMs : 0;
    this.#failures.succeeded();
  }

  async #read(shard: number, after: number): Promise<Envelope[]> {
    const { clock, producer } = this.#options;
    return withTimeout(clock, REFETCH_TIMEOUT_MS, producer.read(shard, after, REFETCH_MAX), () => {
      throw new Error("the producer did not respond in time");
    });
  }

  #take(owned: OwnedShard, envelopes: readonly Envelope[], after: number): number {
    const { source, consumer } = this.#options;
    for (const envelope of envelopes) {
      if (envelope.source !== source || envelope.shard !== owned.shard) {
        throw new Error(`the producer returned a message of another shard: ${envelope.id}`);
      }
    }
    const first = envelopes[0];
    if (first !== undefined && Number(first.position) > Math.max(after, owned.inbox.applied) + 1) {
      throw new Error(`the producer no longer has position ${after + 1}; this consumer needs a backfill`);
    }
    let count = 0;
    for (const envelope of envelopes) {
      const isMissing = owned.inbox.at(Number(envelope.position)) === undefined;
      if (isMissing && owned.inbox.offer(envelope, undefined)) count += 1;
    }
    this.#refetches.inc({ consumer, source }, count);
    return count;
  }
}
