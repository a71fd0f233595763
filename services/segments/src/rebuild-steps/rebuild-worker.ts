// Rebuilds profiles from their raw events: all profiles for the backfill of a new rule, and single marked
// ones.

import { assert, type BackoffPolicy, backoffMs, type Clock, WorkBudget } from "@muster/core";
import type { Database } from "@muster/db";
import { AppError } from "@muster/errors";
import { FailureLog, type Logger } from "@muster/log";
import type { OwnedShards } from "@muster/outbox";
import type { ThreadPool } from "@muster/runtime";
import type { Announcer } from "../announcements/announcer.ts";
import type { Definitions } from "../engine/state/definitions.ts";
import type { EventsFeed } from "../events/events-feed.ts";
import { RebuildPlanner, type RebuildTask } from "../rebuild/rebuild-planner.ts";
import { MAIN_THREAD_EVENTS_MAX } from "../rebuild/rebuild-units.ts";
import type { ScannedShard } from "../rebuild/replace-states.ts";
import { type ScanShardDeps, scanShard } from "../rebuild/scan-shard.ts";
import type { ScanOptions } from "../rebuild/scan-states.ts";
import type { SegmentsMetrics } from "../segments-metrics.ts";
import { WorkSchedule } from "../work-schedule.ts";
import { LongRebuilds } from "./long-rebuilds.ts";
import type { RuleVersions } from "./rule-versions.ts";
import { StateWriter } from "./state-writer.ts";

export interface RebuildDeps {
  readonly announcer: Announcer;
  readonly clock: Clock;
  readonly database: Database;
  readonly feed: EventsFeed;
  readonly log: Logger;
  readonly metrics: SegmentsMetrics;
  /** Requests a step, from outside a step. */
  readonly requestStep: () => void;
  readonly ruleVersions: RuleVersions;
  readonly threads: ThreadPool;
}

export interface RebuildStep {
  /**
   * When the next step is wanted, in epoch milliseconds; 0 means at once, Infinity after the next wake-up.
   */
  readonly nextMs: number;
  /** Whether a reader may be waiting for work that this step finished. */
  readonly hasFinishedWork: boolean;
}

/** A chunk to scan, with the applied position of its shard. */
interface Chunk {
  readonly task: RebuildTask;
  readonly definitions: Definitions;
  readonly position: number;
}

/** Waits between attempts while the events service is unavailable. */
const RETRY: BackoffPolicy = { minMs: 500, maxMs: 15_000 };

/**
 * After the rebuild of a profile with a long history, later marks of the profile wait this long for each of its
 * events, and then share a rebuild: 3 s for 60,000 events. A read that waits for the profile still has time.
 */
const POSTPONED_MS_PER_EVENT = 0.05;
const POSTPONED_MS_MAX = 3_000;

/** Runs in the process that owns the shards, between batches of messages. */
export class RebuildWorker {
  readonly #deps: RebuildDeps;
  readonly #writer: StateWriter;
  readonly #longRebuilds: LongRebuilds;
  readonly #planner: RebuildPlanner;
  readonly #schedule = new WorkSchedule();
  readonly #failureLog: FailureLog;
  #failures = 0;
  /** No step runs before this instant, even after a wake-up. */
  #notBeforeMs = 0;

  constructor(deps: RebuildDeps) {
    this.#deps = deps;
    this.#writer = new StateWriter(deps);
    this.#longRebuilds = new LongRebuilds({ ...deps, writer: this.#writer }, () => {
      this.wake();
      deps.requestStep();
    });
    this.#planner = new RebuildPlanner(deps.database, deps.clock, this.#longRebuilds);
    this.#failureLog = new FailureLog(deps.log, { failed: "a rebuild step failed; retrying" });
  }

  /** Called when a backfill or a marked profile may have been added. */
  wake(): void {
    this.#schedule.wake();
  }

  /** Called after messages were applied, which a long rebuild may wait for. */
  messagesApplied(): void {
    if (this.#longRebuilds.awaitsMessages) this.wake();
  }

  /** Processes one chunk. No messages are applied in the owned shards meanwhile, except during a long rebuild. */
  async step(owned: OwnedShards, signal: AbortSignal): Promise<RebuildStep> {
    const { clock } = this.#deps;
    const nowMs = clock.nowMs();
    const nextMs = Math.max(this.#schedule.nextMs, this.#notBeforeMs);
    if (nowMs < nextMs) return { nextMs, hasFinishedWork: false };
    this.#schedule.begin();
    try {
      const step = (await this.#finishLongRebuild(owned, signal)) ?? (await this.#runNext(owned, signal));
      if (step.hasFinishedWork) {
        this.#failures = 0;
        this.#failureLog.succeeded();
      }
      return step;
    } catch (error) {
      // The next owner starts the step again.
      if (signal.aborted) return { nextMs: Number.POSITIVE_INFINITY, hasFinishedWork: false };
      // The consumer handles a lost shard or a defect.
      if (!(error instanceof AppError)) throw error;
      // The events service is unavailable. Timers and messages continue, and waiting readers time out with a
      // retry hint.
      this.#failureLog.failed(error);
      this.#planner.adjustChunkSize({ stepMs: Number.POSITIVE_INFINITY, writeMs: 0 });
      this.#failures += 1;
      this.#notBeforeMs = nowMs + backoffMs(this.#failures, RETRY);
      return { nextMs: this.#notBeforeMs, hasFinishedWork: false };
    }
  }

  async #finishLongRebuild(owned: OwnedShards, signal: AbortSignal): Promise<RebuildStep | undefined> {
    const finished = await this.#longRebuilds.step(owned, signal);
    if (finished === undefined) return undefined;
    this.#postponeLongHistories(finished.scanned);
    return { nextMs: 0, hasFinishedWork: true };
  }

  async #runNext(owned: OwnedShards, signal: AbortSignal): Promise<RebuildStep> {
    const { clock } = this.#deps;
    const { tasks, nextMs: postponedMs } = await this.#planner.next(owned.shards);
    if (tasks.length === 0) {
      this.#schedule.sleepUntil(postponedMs);
      return { nextMs: this.#schedule.nextMs, hasFinishedWork: false };
    }
    const startMs = clock.monotonicMs();
    const writeMs = await this.#run(owned, tasks, signal);
    this.#planner.adjustChunkSize({ stepMs: clock.monotonicMs() - startMs, writeMs });
    return { nextMs: 0, hasFinishedWork: true };
  }

  /**
   * Scans a task up to the first long history, which is rebuilt beside the applying of messages if possible. Returns
   * undefined if nothing comes before the long history.
   */
  async #scan(
    deps: ScanShardDeps,
    { task, definitions, position }: Chunk,
    options: ScanOptions,
  ): Promise<ScannedShard | undefined> {
    const bounded = { ...options, profileEventsMax: MAIN_THREAD_EVENTS_MAX };
    const scanned = await scanShard(deps, task, definitions, position, bounded);
    const { longProfileId, states } = scanned;
    if (longProfileId === undefined) return scanned;
    const { profiles } = task;
    // The next chunk of a backfill begins with the long history.
    if (!("ids" in profiles) && states.size > 0) return scanned;
    const long = "ids" in profiles ? { ids: [longProfileId] } : { ...profiles, limit: 1 };
    if (!this.#longRebuilds.add({ ...task, profiles: long })) {
      return scanShard(deps, task, definitions, position, options);
    }
    const part = scanned.task.profiles;
    return "ids" in part && part.ids.length > 0 ? scanned : undefined;
  }

  /** All tasks are of one organization, each of another shard. Returns the duration of the write transaction. */
  async #run(owned: OwnedShards, tasks: readonly RebuildTask[], signal: AbortSignal): Promise<number> {
    const { database, clock, feed, threads } = this.#deps;
    const organizationId = tasks[0]?.organizationId;
    assert(organizationId !== undefined, "a step has a task");
    // Invariant: the definitions are loaded after the tasks were listed, so they include every segment whose
    // backfill advances here. A segment created later starts its own backfill. A segment deleted later gets a
    // purge, which the same owner runs afterwards.
    const definitions = await this.#deps.ruleVersions.loadProvisioned(database.reader, organizationId);
    // A step is bounded by its chunk. The budget only yields to other work of the process.
    const options = { nowMs: clock.nowMs(), budget: WorkBudget.inSlices({ clock, signal }), signal };
    // After a failure, perhaps of a thread, the main thread applies all events.
    const slot = this.#failures === 0 ? { pool: threads, isTaken: false } : undefined;
    const scanDeps = { database, feed, threads: slot };
    const scans = await Promise.allSettled(
      tasks.map((task) => {
        const chunk = { task, definitions, position: owned.position(task.shard) };
        return this.#scan(scanDeps, chunk, options);
      }),
    );
    const scannedShards = scans.flatMap((scan) => (scan.status === "fulfilled" && scan.value) || []);
    for (const { position, appliedPosition } of scannedShards) {
      // Invariant: the snapshot contains all applied messages, because no message is applied during the step.
      assert(position >= appliedPosition, "a snapshot is behind the applied position");
    }
    // A failed scan of one shard does not delay the others.
    const writeMs =
      scannedShards.length > 0 ? await this.#writer.write(owned, scannedShards, definitions) : 0;
    for (const scanned of scannedShards) this.#postponeLongHistories(scanned);
    for (const scan of scans) if (scan.status === "rejected") throw scan.reason;
    return writeMs;
  }

  /** Many late events of a profile share a rebuild, because each rebuild reads the whole history again. */
  #postponeLongHistories({ task: { organizationId, shard }, eventCounts }: ScannedShard): void {
    for (const [profileId, events] of eventCounts) {
      if (events <= MAIN_THREAD_EVENTS_MAX) continue;
      const waitMs = Math.min(POSTPONED_MS_MAX, events * POSTPONED_MS_PER_EVENT);
      this.#planner.postpone({ organizationId, shard, profileId }, this.#deps.clock.nowMs() + waitMs);
    }
  }
}
