// Rebuilds profiles from their raw events: all profiles for the backfill of a new rule, and single marked
// ones.
import { assert, type Clock, type OrganizationId, type ProfileId } from "@muster/core";
import type { Database, Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import type { Logger } from "@muster/log";
import type { OwnedShards } from "@muster/outbox";
import { ALL_SEGMENTS, advanceBackfills, type Backfill, LAST_PROFILE } from "../backfills/backfill-store.ts";
import { addProfileDerivations, deleteProfileDerivations } from "../backfills/derivation-store.ts";
import type { Announcer } from "../changes/announcer.ts";
import type { Definitions } from "../engine/definitions.ts";
import type { EventsFeed } from "../events-feed.ts";
import { type ScannedStates, scanStates } from "../profiles/scan-states.ts";
import { compareProfileKeys, listStateIds } from "../profiles/state-store.ts";
import { saveTouched, type TouchedProfile } from "../profiles/touched-profile.ts";
import type { DefinitionsCache } from "../segments/definitions-cache.ts";
import { lockOrganization } from "../segments/organization-store.ts";
import { takeOver } from "../segments/take-over.ts";
import type { SegmentsMetrics } from "../segments-metrics.ts";
import { forgetProfiles, tellAbsent } from "./absent-profiles.ts";
import { DerivationAgenda, type DerivationTask } from "./derivation-agenda.ts";
import { Lookout } from "./lookout.ts";
import { readUnfolded, type UnfoldedNews } from "./recollection.ts";
import { type Derived, type Replaced, replaceStates } from "./replace-states.ts";

export interface DeriveDeps {
  readonly announcer: Announcer;
  readonly clock: Clock;
  readonly database: Database;
  readonly definitions: DefinitionsCache;
  readonly feed: EventsFeed;
  readonly log: Logger;
  readonly metrics: SegmentsMetrics;
}

export interface StepResult {
  /**
   * When the next step is wanted, in epoch milliseconds; 0 means at once, Infinity after the next wake-up.
   */
  readonly nextMs: number;
  /** Whether a reader may be waiting for work that this step finished. */
  readonly settled: boolean;
}

/** Waits between attempts while the events service is unavailable, doubling with each failure. */
const RETRY_MS_MIN = 500;
const RETRY_MS_MAX = 15_000;

/** Runs in the process that owns the shards, between batches of messages. */
export class Derivations {
  readonly #deps: DeriveDeps;
  readonly #agenda: DerivationAgenda;
  readonly #lookout = new Lookout();
  #failures = 0;
  /** No step runs before this instant, even after a wake-up. */
  #notBeforeMs = 0;

  constructor(deps: DeriveDeps) {
    this.#deps = deps;
    this.#agenda = new DerivationAgenda(deps.database);
  }

  /** Called when a backfill or a marked profile may have been added. */
  look(): void {
    this.#lookout.ask();
  }

  /** Processes one chunk. No messages are applied in the owned shards meanwhile. */
  async step(owned: OwnedShards): Promise<StepResult> {
    const { clock } = this.#deps;
    const nowMs = clock.nowMs();
    const nextMs = Math.max(this.#lookout.nextMs, this.#notBeforeMs);
    if (nowMs < nextMs) return { nextMs, settled: false };
    this.#lookout.begin();
    const tasks = await this.#agenda.next(owned.shards);
    if (tasks.length === 0) {
      this.#lookout.rest();
      return { nextMs: this.#lookout.nextMs, settled: false };
    }
    const startMs = clock.monotonicMs();
    try {
      await this.#run(owned, tasks);
      this.#agenda.took(clock.monotonicMs() - startMs);
      this.#failures = 0;
      return { nextMs: 0, settled: true };
    } catch (error) {
      // The consumer handles a lost shard or a defect.
      if (!(error instanceof AppError)) throw error;
      // The events service is unavailable. Timers and messages continue, and waiting readers time out with a
      // retry hint.
      if (this.#failures === 0) this.#deps.log.warn({ err: error }, "a rebuild step failed; retrying");
      this.#agenda.took(Number.POSITIVE_INFINITY);
      this.#notBeforeMs = nowMs + Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(this.#failures, 10));
      this.#failures += 1;
      return { nextMs: this.#notBeforeMs, settled: false };
    }
  }

  /** All tasks are of one organization, each of another shard. */
  async #run(owned: OwnedShards, tasks: readonly DerivationTask[]): Promise<void> {
    const { database, clock } = this.#deps;
    const organizationId = tasks[0]?.organizationId;
    assert(organizationId !== undefined, "a step has a task");
    // Invariant: the definitions are loaded after the tasks were listed, so they include every segment whose
    // backfill advances here. A segment created later starts its own backfill. A segment deleted later gets a
    // purge, which the same owner runs afterwards.
    const definitions = await this.#deps.definitions.loadKnown(database.reader, organizationId);
    const scannedMs = clock.nowMs();
    const scans = await Promise.allSettled(
      tasks.map(async (task): Promise<Derived> => {
        const folded = owned.position(task.shard);
        const scan = await scanStates(this.#deps.feed, task, definitions, scannedMs);
        return { task, folded, scannedMs, ...scan, unfolded: await this.#unfolded(task, folded, scan) };
      }),
    );
    const derived = scans.flatMap((scan) => (scan.status === "fulfilled" ? [scan.value] : []));
    for (const { position, folded } of derived) {
      // Invariant: the snapshot contains all applied messages, because no message is applied during the step.
      assert(position >= folded, "a snapshot is behind the applied position");
    }
    // A failed scan of one shard does not delay the others.
    if (derived.length > 0) {
      const shards = derived.map(({ task }) => task.shard).sort((a, b) => a - b);
      const changes = await owned.transaction(shards, (trx) =>
        this.#write(trx, organizationId, derived, definitions),
      );
      this.#deps.metrics.membershipsChanged("backfill", changes);
    }
    for (const scan of scans) if (scan.status === "rejected") throw scan.reason;
  }

  async #unfolded(
    { organizationId, shard }: DerivationTask,
    after: number,
    { completeSinceMs, position: through, states }: ScannedStates,
  ): Promise<UnfoldedNews | undefined> {
    if (completeSinceMs === 0) return undefined;
    return readUnfolded(this.#deps.feed, { organizationId, shard, after, through }, states);
  }

  /** Returns the number of changed memberships. */
  async #write(
    trx: Transaction,
    organizationId: OrganizationId,
    derived: readonly Derived[],
    definitions: Definitions,
  ): Promise<number> {
    const nowMs = this.#deps.clock.nowMs();
    // Locks the organization first, which is the lock order of all writers.
    const isEnding = derived.some(isLastChunk);
    if (isEnding) await lockOrganization(trx, organizationId);
    const touched: TouchedProfile[] = [];
    const ended: (Replaced & { readonly shard: number })[] = [];
    for (const one of [...derived].sort((a, b) => a.task.shard - b.task.shard)) {
      const replaced = await replaceStates(trx, one, definitions, nowMs);
      touched.push(...replaced.touched, ...replaced.absent);
      ended.push({ shard: one.task.shard, ...replaced });
    }
    await saveTouched(trx, touched.sort(compareProfileKeys), this.#deps.announcer, nowMs);
    for (const of of ended) {
      await tellAbsent(trx, this.#deps.announcer, of.absent, nowMs);
      await forgetProfiles(trx, organizationId, of.shard, of);
    }
    for (const one of derived) await finish(trx, one);
    if (isEnding) await takeOver(trx, organizationId, this.#deps.announcer);
    return touched.reduce((sum, { changes }) => sum + changes.length, 0);
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
async function finish(trx: Transaction, { task, states, more, isRead }: Derived): Promise<void> {
  if ("ids" in task.profiles) {
    await deleteProfileDerivations(trx, task.organizationId, task.shard, task.profiles.ids);
    return;
  }
  const last = [...states.keys()].sort().at(-1);
  const advanced = task.backfills.filter((backfill) => isCovered(backfill, task.profiles, { more, last }));
  const isAll = advanced.some(({ segmentId }) => segmentId === ALL_SEGMENTS);
  if (isAll && isRead) await doubtAbsent(trx, task, states, more ? last : undefined);
  await advanceBackfills(trx, advanced, more ? last : states.size > 0 ? LAST_PROFILE : undefined);
}

/**
 * Marks profiles that have a stored state but are missing in the snapshot, so that the next step reads them
 * by id. An unreadable message of the shard may have ended such a profile.
 */
async function doubtAbsent(
  trx: Transaction,
  { organizationId, shard, profiles }: DerivationTask,
  states: ScannedStates["states"],
  last: ProfileId | undefined,
): Promise<void> {
  if ("ids" in profiles) return;
  const kept = await listStateIds(trx, organizationId, shard, profiles.after, last);
  const absent = kept.filter((profileId) => !states.has(profileId));
  await addProfileDerivations(
    trx,
    absent.map((profileId) => ({ organizationId, shard, profileId })),
  );
}

/**
 * Whether this chunk completes a backfill. Only an empty chunk does, so the organization lock is held
 * briefly.
 */
function isLastChunk({ task, more, states }: Derived): boolean {
  return !more && states.size === 0 && !("ids" in task.profiles);
}

/** Whether the chunk advances the backfill: it starts at or before the cursor and ends after it. */
function isCovered(
  { afterProfileId }: Backfill,
  profiles: DerivationTask["profiles"],
  chunk: { readonly more: boolean; readonly last: ProfileId | undefined },
): boolean {
  if ("ids" in profiles || profiles.after > afterProfileId) return false;
  return !chunk.more || (chunk.last !== undefined && afterProfileId <= chunk.last);
}
