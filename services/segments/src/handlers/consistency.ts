// Delays reads until they include everything that was acknowledged before them (read-your-writes).
import type { Bus } from "@muster/bus";
import { type Clock, CONSISTENCY_WAIT_MS_MAX, type OrganizationId } from "@muster/core";
import type { Database } from "@muster/db";
import { AppError } from "@muster/errors";
import type { ShardConsumer } from "@muster/outbox";
import { type CallContext, onBehalfOf } from "@muster/rpc";
import type { EventsFeed } from "../events/events-feed.ts";
import { hasDueProfiles } from "../profiles/state-store.ts";
import type { SegmentsMetrics } from "../segments-metrics.ts";
import { WORK_DONE_TOPIC, WORK_TOPIC } from "../topics.ts";

/** What the wait needs. */
export interface ConsistencyDeps {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly consumer: Pick<ShardConsumer, "waitForApplied">;
  readonly database: Database;
  readonly feed: EventsFeed;
  readonly metrics: SegmentsMetrics;
}

/** What a read depends on. */
export interface ReadScope {
  readonly organizationId: OrganizationId;
  readonly shards: readonly number[];
  /** Whether rebuilds or backfills that the read depends on are still pending. */
  hasPendingWork(): Promise<boolean>;
}

/** Polling interval while work is pending, in case a broadcast is lost. */
const POLL_MS = 25;
/** The retry hint of NOT_YET_CONSISTENT. */
const RETRY_AFTER_MS = 1000;
/** The wait ends this long before the caller's deadline, so that the error still arrives. */
const DEADLINE_MARGIN_MS = 50;
const NOTHING = new Uint8Array();

/** Waits for applied messages, due profiles and pending work, in this order. */
export class Consistency {
  readonly #deps: ConsistencyDeps;

  constructor(deps: ConsistencyDeps) {
    this.#deps = deps;
  }

  /**
   * Rejects with NOT_YET_CONSISTENT after 10 s or shortly before the deadline, so that no stale read passes.
   * Eventual reads do not wait.
   */
  async wait(context: CallContext, scope: ReadScope): Promise<void> {
    if (context.eventual) return;
    const { clock, metrics } = this.#deps;
    const startMs = clock.monotonicMs();
    const isConsistent = await this.#waitUntilCaughtUp(context, scope, clock.nowMs());
    metrics.readWaited(isConsistent ? "consistent" : "timeout", clock.monotonicMs() - startMs);
    if (!isConsistent) throw new AppError("NOT_YET_CONSISTENT", { retryAfterMs: RETRY_AFTER_MS });
  }

  async #waitUntilCaughtUp(context: CallContext, scope: ReadScope, nowMs: number): Promise<boolean> {
    const { clock, consumer, feed } = this.#deps;
    const deadlineMs = (context.deadlineMs ?? Number.POSITIVE_INFINITY) - DEADLINE_MARGIN_MS;
    const limitMs = Math.min(nowMs + CONSISTENCY_WAIT_MS_MAX, deadlineMs);
    const acknowledged = await feed
      .positions({ ...onBehalfOf(context), deadlineMs: limitMs })
      .catch((error: unknown) => {
        if (isLate(error)) return undefined;
        throw error;
      });
    if (acknowledged === undefined) return false;
    const positions = acknowledged.map((position, shard) => (scope.shards.includes(shard) ? position : 0));
    const options = { timeoutMs: limitMs - clock.nowMs(), signal: context.signal };
    if (!(await consumer.waitForApplied(positions, options))) return false;
    for (let round = 0; ; round += 1) {
      const workDone = new AbortController();
      // Subscribes before checking, so that no broadcast in between is lost.
      const stopListening = this.#deps.bus.onBroadcast(WORK_DONE_TOPIC, () => workDone.abort());
      try {
        if (await this.#isCaughtUp(scope, nowMs)) return true;
        if (clock.nowMs() >= limitMs || context.signal.aborted) return false;
        if (round % 10 === 0) this.#deps.bus.broadcast(WORK_TOPIC, NOTHING);
        await clock.sleep(POLL_MS, AbortSignal.any([workDone.signal, context.signal]));
      } finally {
        stopListening();
      }
    }
  }

  /** Whether no profile was due before the read, and no work of the read is pending. */
  async #isCaughtUp(scope: ReadScope, nowMs: number): Promise<boolean> {
    // The order matters: the evaluation of a due profile may mark it for a rebuild.
    if (await hasDueProfiles(this.#deps.database.reader, scope.organizationId, scope.shards, nowMs))
      return false;
    return !(await scope.hasPendingWork());
  }
}

/** Whether the events service did not respond in time. */
function isLate(error: unknown): boolean {
  return error instanceof AppError && error.reason === "DEADLINE_EXCEEDED";
}
