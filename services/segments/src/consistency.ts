// Read-your-writes: holds a read until all that was acknowledged before it is counted here.
import type { Bus } from "@muster/bus";
import { type Clock, CONSISTENCY_WAIT_MS_MAX, type OrganizationId } from "@muster/core";
import type { Database } from "@muster/db";
import { AppError } from "@muster/errors";
import type { ShardConsumer } from "@muster/outbox";
import { type CallContext, onBehalfOf } from "@muster/rpc";
import type { EventsFeed } from "./events-feed.ts";
import { SETTLED_TOPIC, WORK_TOPIC } from "./folder.ts";
import { isAnyDue } from "./profiles/state-store.ts";
import type { SegmentsMetrics } from "./segments-metrics.ts";

export interface ConsistencyDeps {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly consumer: Pick<ShardConsumer, "waitFolded">;
  readonly database: Database;
  readonly feed: EventsFeed;
  readonly metrics: SegmentsMetrics;
}

/** What a read is about to answer from. */
export interface ReadScope {
  readonly organizationId: OrganizationId;
  readonly shards: readonly number[];
  /** Whether facts that the read depends on are yet to be derived from raw events. */
  isDerivationPending(): Promise<boolean>;
}

const POLL_MS = 25;
const RETRY_AFTER_MS = 1000;
/** Before the caller's deadline, so that the answer says why instead of merely being late. */
const DEADLINE_MARGIN_MS = 50;
const NOTHING = new Uint8Array();

export class Consistency {
  readonly #deps: ConsistencyDeps;

  constructor(deps: ConsistencyDeps) {
    this.#deps = deps;
  }

  /** Rejects with NOT_YET_CONSISTENT after 10 s or shortly before the deadline; never lets a stale read by. */
  async wait(context: CallContext, scope: ReadScope): Promise<void> {
    if (context.eventual) return;
    const { clock, metrics } = this.#deps;
    const startMs = clock.monotonicMs();
    const isConsistent = await this.#settles(context, scope, clock.nowMs());
    metrics.readWaited(isConsistent ? "consistent" : "timeout", clock.monotonicMs() - startMs);
    if (!isConsistent) throw new AppError("NOT_YET_CONSISTENT", { retryAfterMs: RETRY_AFTER_MS });
  }

  async #settles(context: CallContext, scope: ReadScope, nowMs: number): Promise<boolean> {
    const { clock, consumer, feed } = this.#deps;
    const deadlineMs = (context.deadlineMs ?? Number.POSITIVE_INFINITY) - DEADLINE_MARGIN_MS;
    const limitMs = Math.min(nowMs + CONSISTENCY_WAIT_MS_MAX, deadlineMs);
    const acknowledged = await feed.positions(onBehalfOf(context));
    const positions = acknowledged.map((position, shard) => (scope.shards.includes(shard) ? position : 0));
    const options = { timeoutMs: limitMs - clock.nowMs(), signal: context.signal };
    if (!(await consumer.waitFolded(positions, options))) return false;
    for (let round = 0; ; round += 1) {
      const settled = new AbortController();
      // Listening before looking, so that what settles in between is not missed.
      const stopListening = this.#deps.bus.onBroadcast(SETTLED_TOPIC, () => settled.abort());
      try {
        if (await this.#isSettled(scope, nowMs)) return true;
        if (clock.nowMs() >= limitMs || context.signal.aborted) return false;
        if (round % 10 === 0) this.#deps.bus.broadcast(WORK_TOPIC, NOTHING);
        await clock.sleep(POLL_MS, AbortSignal.any([settled.signal, context.signal]));
      } finally {
        stopListening();
      }
    }
  }

  /** Whether no timer of before the read, and nothing that it depends on, is still to be worked. */
  async #isSettled(scope: ReadScope, nowMs: number): Promise<boolean> {
    // In this order: a visit that a timer was due for may mark the profile to be derived.
    if (await isAnyDue(this.#deps.database.reader, scope.organizationId, scope.shards, nowMs)) return false;
    return !(await scope.isDerivationPending());
  }
}
