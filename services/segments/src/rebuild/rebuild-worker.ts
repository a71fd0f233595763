// Rebuilds profiles from their raw events: all profiles for the backfill of a new rule, and single marked
// ones.

import {
  assert,
  type BackoffPolicy,
  backoffMs,
  type Clock,
  type OrganizationId,
  type ProfileId,
  WorkBudget,
} from "@muster/core";
import type { Database, Queryable, Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import { FailureLog, type Logger } from "@muster/log";
import type { OwnedShards } from "@muster/outbox";
import type { ThreadPool } from "@muster/runtime";
import type { Announcer } from "../announcements/announcer.ts";
import { type ChangedProfile, saveChangedProfiles } from "../announcements/changed-profile.ts";
import type { Definitions } from "../engine/state/definitions.ts";
import type { EventsFeed } from "../events/events-feed.ts";
import { compareProfileKeys, LAST_PROFILE } from "../profiles/profile-key.ts";
import { addProfileRebuilds, deleteProfileRebuilds } from "../profiles/rebuild-store.ts";
import { listStateIds } from "../profiles/state-store.ts";
import type { SegmentsMetrics } from "../segments-metrics.ts";
import { TransactionSlices } from "../transaction-slices.ts";
import { WorkSchedule } from "../work-schedule.ts";
import { ALL_EVALUATIONS, advanceBackfills, type Backfill } from "./backfill-store.ts";
import { deleteProfiles } from "./missing-profiles.ts";
import { RebuildPlanner, type RebuildTask } from "./rebuild-planner.ts";
import { MAIN_THREAD_EVENTS_MAX } from "./rebuild-units.ts";
import { type ReplacedStates, replaceStates, type ScannedShard } from "./replace-states.ts";
import { scanShard } from "./scan-shard.ts";
import type { ScannedStates } from "./scan-states.ts";

/** What rebuilds need from rule versions. Passed in, because rule versions depend on backfills. */
export interface RuleVersions {
  /** The newest definitions of a provisioned organization. */
  loadProvisioned(db: Queryable, organizationId: OrganizationId): Promise<Definitions>;
  /** Locks the organization's segments until the transaction ends. */
  lockOrganization(trx: Transaction, organizationId: OrganizationId): Promise<unknown>;
  /** Publishes exits of emptied profiles of one shard that only a replaced rule still counts as members. */
  publishRemoved(trx: Transaction, profiles: readonly ChangedProfile[], nowMs: number): Promise<void>;
  /** Lets pending rules serve after their last backfill. The organization is locked. */
  switchFinishedRules(trx: Transaction, organizationId: OrganizationId): Promise<void>;
}

export interface RebuildDeps {
  readonly announcer: Announcer;
  readonly clock: Clock;
  readonly database: Database;
  readonly feed: EventsFeed;
  readonly log: Logger;
  readonly metrics: SegmentsMetrics;
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
  readonly #planner: RebuildPlanner;
  readonly #schedule = new WorkSchedule();
  readonly #failureLog: FailureLog;
  #failures = 0;
  /** No step runs before this instant, even after a wake-up. */
  #notBeforeMs = 0;

  constructor(deps: RebuildDeps) {
    this.#deps = deps;
    this.#planner = new RebuildPlanner(deps.database, deps.clock);
    this.#failureLog = new FailureLog(deps.log, { failed: "a rebuild step failed; retrying" });
  }

  /** Called when a backfill or a marked profile may have been added. */
  wake(): void {
    this.#schedule.wake();
  }

  /** Processes one chunk. No messages are applied in the owned shards meanwhile. */
  async step(owned: OwnedShards, signal: AbortSignal): Promise<RebuildStep> {
    const { clock } = this.#deps;
    const nowMs = clock.nowMs();
    const nextMs = Math.max(this.#schedule.nextMs, this.#notBeforeMs);
    if (nowMs < nextMs) return { nextMs, hasFinishedWork: false };
    this.#schedule.begin();
    const { tasks, nextMs: postponedMs } = await this.#planner.next(owned.shards);
    if (tasks.length === 0) {
      this.#schedule.sleepUntil(postponedMs);
      return { nextMs: this.#schedule.nextMs, hasFinishedWork: false };
    }
    const startMs = clock.monotonicMs();
    try {
      const writeMs = await this.#run(owned, tasks, signal);
      this.#planner.adjustChunkSize({ stepMs: clock.monotonicMs() - startMs, writeMs });
      this.#failures = 0;
      this.#failureLog.succeeded();
      return { nextMs: 0, hasFinishedWork: true };
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
    const onSpent = (): Error => new AppError("WORK_LIMIT_REACHED");
    const budget = new WorkBudget({ clock, maxUnits: Number.POSITIVE_INFINITY, onSpent, signal });
    const options = { nowMs: clock.nowMs(), budget, signal };
    // After a failure, perhaps of a thread, the main thread applies all events.
    const slot = this.#failures === 0 ? { pool: threads, isTaken: false } : undefined;
    const scanDeps = { database, feed, threads: slot };
    const scans = await Promise.allSettled(
      tasks.map((task) => scanShard(scanDeps, task, definitions, owned.position(task.shard), options)),
    );
    const scannedShards = scans.flatMap((scan) => (scan.status === "fulfilled" ? [scan.value] : []));
    for (const { position, appliedPosition } of scannedShards) {
      // Invariant: the snapshot contains all applied messages, because no message is applied during the step.
      assert(position >= appliedPosition, "a snapshot is behind the applied position");
    }
    let writeMs = 0;
    // A failed scan of one shard does not delay the others.
    if (scannedShards.length > 0) {
      const shards = scannedShards.map(({ task }) => task.shard).sort((a, b) => a - b);
      let startMs = clock.monotonicMs();
      const changes = await owned.transaction(shards, (trx) => {
        startMs = clock.monotonicMs();
        return this.#write(trx, organizationId, scannedShards, definitions);
      });
      writeMs = clock.monotonicMs() - startMs;
      this.#deps.metrics.membershipsChanged("backfill", changes);
      for (const scanned of scannedShards) this.#postponeLongHistories(scanned);
    }
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

  /** Returns the number of changed memberships. */
  async #write(
    trx: Transaction,
    organizationId: OrganizationId,
    scannedShards: readonly ScannedShard[],
    definitions: Definitions,
  ): Promise<number> {
    const { announcer, clock, ruleVersions } = this.#deps;
    const nowMs = clock.nowMs();
    // Locks the organization first, which is the lock order of all writers.
    const isEnding = scannedShards.some(isLastChunk);
    if (isEnding) await ruleVersions.lockOrganization(trx, organizationId);
    const changed: ChangedProfile[] = [];
    const replacedShards: (ReplacedStates & { readonly shard: number })[] = [];
    const slices = new TransactionSlices(clock);
    for (const one of [...scannedShards].sort((a, b) => a.task.shard - b.task.shard)) {
      const replaced = await replaceStates(trx, one, definitions, { nowMs, slices });
      changed.push(...replaced.changed, ...replaced.missing);
      replacedShards.push({ shard: one.task.shard, ...replaced });
    }
    await saveChangedProfiles(trx, changed.sort(compareProfileKeys), announcer, nowMs);
    for (const replaced of replacedShards) {
      await ruleVersions.publishRemoved(trx, replaced.missing, nowMs);
      await deleteProfiles(trx, organizationId, replaced.shard, replaced);
    }
    for (const one of scannedShards) await completeTask(trx, one);
    if (isEnding) await ruleVersions.switchFinishedRules(trx, organizationId);
    return changed.reduce((sum, { changes }) => sum + changes.length, 0);
  }
}

/**
 * Advances the backfills of a written chunk, or deletes the marks of rebuilt profiles.
 *
 * Invariant: a backfill may skip a profile that was created behind its cursor. That profile is not in the
 * chunk's snapshot, so all its events arrive in later messages, and those are applied with the new segment.
 * The scan finds a profile that was created ahead of the cursor: its state is replaced, and `asOf` skips the
 * messages that the snapshot already contains. A merge or an undo marks the profiles concerned for a rebuild.
 */
async function completeTask(
  trx: Transaction,
  { task, states, more, isScanned }: ScannedShard,
): Promise<void> {
  if ("ids" in task.profiles) {
    await deleteProfileRebuilds(trx, task.organizationId, task.shard, task.profiles.ids);
    return;
  }
  const last = [...states.keys()].sort().at(-1);
  const advanced = task.backfills.filter((backfill) => isCovered(backfill, task.profiles, { more, last }));
  const isAll = advanced.some(({ evaluationId }) => evaluationId === ALL_EVALUATIONS);
  if (isAll && isScanned) await markMissingProfiles(trx, task, states, more ? last : undefined);
  await advanceBackfills(trx, advanced, more ? last : states.size > 0 ? LAST_PROFILE : undefined);
}

/**
 * Marks profiles that have a stored state but are missing in the snapshot, so that the next step reads them
 * by id. An unreadable message of the shard may have ended such a profile.
 */
async function markMissingProfiles(
  trx: Transaction,
  { organizationId, shard, profiles }: RebuildTask,
  states: ScannedStates["states"],
  last: ProfileId | undefined,
): Promise<void> {
  if ("ids" in profiles) return;
  const storedIds = await listStateIds(trx, organizationId, shard, profiles.after, last);
  const missing = storedIds.filter((profileId) => !states.has(profileId));
  await addProfileRebuilds(
    trx,
    missing.map((profileId) => ({ organizationId, shard, profileId })),
  );
}

/**
 * Whether this chunk completes a backfill. Only an empty chunk does, so the organization lock is held
 * briefly.
 */
function isLastChunk({ task, more, states }: ScannedShard): boolean {
  return !more && states.size === 0 && !("ids" in task.profiles);
}

/** Whether the chunk advances the backfill: it starts at or before the cursor and ends after it. */
function isCovered(
  { afterProfileId }: Backfill,
  profiles: RebuildTask["profiles"],
  chunk: { readonly more: boolean; readonly last: ProfileId | undefined },
): boolean {
  if ("ids" in profiles || profiles.after > afterProfileId) return false;
  return !chunk.more || (chunk.last !== undefined && afterProfileId <= chunk.last);
}
