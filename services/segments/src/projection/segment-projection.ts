// Connects the shard consumer to this service: applies messages, marks dead letters, and runs workers in
// between.
import type { Bus } from "@muster/bus";
import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";
import type { Clock } from "@muster/core";
import type { Database, Transaction } from "@muster/db";
import type { OwnedShards, Projection } from "@muster/outbox";
import type { Announcer } from "../announcements/announcer.ts";
import type { SweepWorker } from "../memberships/sweep-worker.ts";
import type { RebuildWorker } from "../rebuild-steps/rebuild-worker.ts";
import type { DefinitionsCache } from "../rule-versions/definitions-cache.ts";
import type { PurgeWorker } from "../rule-versions/purge-worker.ts";
import type { SegmentsMetrics } from "../segments-metrics.ts";
import { WORK_DONE_TOPIC } from "../topics.ts";
import { WorkSchedule } from "../work-schedule.ts";
import { applyMessages } from "./apply-messages.ts";
import { markDeadLetter } from "./mark-dead-letter.ts";
import { MessageMatcher } from "./match-messages.ts";
import { readPendingWork } from "./pending-work-store.ts";
import type { TimerWorker } from "./timer-worker.ts";

/** The workers, and what applying messages needs. */
export interface SegmentProjectionDeps {
  readonly announcer: Announcer;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly database: Database;
  readonly definitions: DefinitionsCache;
  readonly metrics: SegmentsMetrics;
  readonly timers: TimerWorker;
  readonly rebuilds: RebuildWorker;
  readonly purges: PurgeWorker;
  readonly sweeps: SweepWorker;
}

const NOTHING = new Uint8Array();
/** Polling interval for work of other owners and replicas, and for lost broadcasts. */
const POLL_MS = 1000;

/** All methods run in the process that owns the shards, never two at a time. */
export class SegmentProjection implements Projection {
  readonly #deps: SegmentProjectionDeps;
  readonly #matcher: MessageMatcher;
  readonly #schedule = new WorkSchedule();
  #shards = "";

  constructor(deps: SegmentProjectionDeps) {
    this.#deps = deps;
    this.#matcher = new MessageMatcher(deps);
  }

  /** Called when work was added or a reader waits for it. */
  wake(): void {
    this.#schedule.wake();
  }

  prepare(messages: readonly Envelope[], signal: AbortSignal): Promise<number> {
    return this.#matcher.prepare(messages, signal);
  }

  async apply(trx: Transaction, messages: readonly Envelope[]): Promise<void> {
    const applied = await applyMessages({ ...this.#deps, matcher: this.#matcher }, trx, messages);
    this.#deps.timers.lowerDueTimes(applied.nextDueTimes);
    if (applied.rebuilds > 0) this.#deps.rebuilds.wake();
    this.#deps.rebuilds.messagesApplied();
    this.#deps.metrics.eventsApplied(applied.events);
    this.#deps.metrics.predicatesUnknown(applied.unknownPredicates);
    this.#deps.metrics.membershipsChanged("live", applied.membershipChanges);
  }

  async onDeadLetter(trx: Transaction, envelope: Envelope | undefined, shard: number): Promise<void> {
    await markDeadLetter(trx, envelope, shard, this.#deps.clock.nowMs());
    this.#deps.rebuilds.wake();
  }

  async work(owned: OwnedShards, signal: AbortSignal): Promise<number> {
    const { announcer, bus, timers, rebuilds, purges, sweeps } = this.#deps;
    // Announcements of the batches before this call are committed.
    announcer.committed();
    const shards = owned.shards.join();
    // A shard that was taken over has pending work of its own.
    if (shards !== this.#shards) this.wake();
    this.#shards = shards;
    await this.#findPendingWork(owned);
    const drained = await timers.drain(owned);
    announcer.committed();
    const rebuilt = await rebuilds.step(owned, signal);
    announcer.committed();
    const purged = await purges.step(owned);
    announcer.committed();
    const sweepMs = await sweeps.step(owned);
    if (drained.evaluated > 0 || rebuilt.hasFinishedWork || purged.hasFinishedWork)
      bus.broadcast(WORK_DONE_TOPIC, NOTHING);
    return Math.min(drained.nextMs, rebuilt.nextMs, purged.nextMs, sweepMs, this.#schedule.nextMs);
  }

  async #findPendingWork(owned: OwnedShards): Promise<void> {
    const { clock, database, timers, rebuilds, purges, sweeps } = this.#deps;
    const nowMs = clock.nowMs();
    if (nowMs < this.#schedule.nextMs) return;
    this.#schedule.begin();
    const pendingWork = await readPendingWork(database.reader, owned.shards);
    timers.setDueTimes(pendingWork.dueTimes);
    if (pendingWork.hasRebuilds) rebuilds.wake();
    if (pendingWork.hasPurges) purges.wake();
    if (pendingWork.hasSweeps) sweeps.wake();
    this.#schedule.sleepUntil(nowMs + POLL_MS);
  }
}
