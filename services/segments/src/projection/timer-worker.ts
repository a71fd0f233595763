// Evaluates profiles whose memberships may change by time alone: windows that end, future events that come
// due.

import type { Clock, OrganizationId } from "@muster/core";
import type { Database, Transaction } from "@muster/db";
import type { OwnedShards } from "@muster/outbox";
import type { Announcer } from "../announcements/announcer.ts";
import { timerCause } from "../announcements/cause.ts";
import { type ChangedProfile, saveChangedProfiles } from "../announcements/changed-profile.ts";
import { evaluate } from "../engine/evaluation/evaluate.ts";
import { applyDueEvents } from "../engine/state/apply-events.ts";
import type { Definitions } from "../engine/state/definitions.ts";
import { earlier, evaluateInSteps } from "../engine/state/membership.ts";
import { needsRebuild, viewOf } from "../engine/state/profile-state.ts";
import { compareProfileKeys, keyOf, type ProfileKey } from "../profiles/profile-key.ts";
import { addProfileRebuilds } from "../profiles/rebuild-store.ts";
import {
  listDueProfiles,
  loadStates,
  readNextDueTimes,
  type StoredProfile,
} from "../profiles/state-store.ts";
import type { DefinitionsCache } from "../rule-versions/definitions-cache.ts";
import type { SegmentsMetrics } from "../segments-metrics.ts";
import { TransactionSlices } from "../transaction-slices.ts";

export interface TimerWorkerDeps {
  readonly announcer: Announcer;
  readonly clock: Clock;
  readonly database: Database;
  readonly definitions: DefinitionsCache;
  readonly metrics: SegmentsMetrics;
}

/** Profiles of one transaction. */
const BATCH = 500;
/** Duration of one call while messages are waiting… */
const BUDGET_MS = 50;
/** …and when evaluations are late. An exit must not be a second late, whatever other work is pending. */
const LATE_BUDGET_MS = 400;
/** Lateness from which the larger budget applies. */
const LATE_MS = 300;

/** Runs in the process that owns the shards, between batches of messages. */
export class TimerWorker {
  readonly #deps: TimerWorkerDeps;
  /** A lower bound of the due time of each shard's first profile. */
  #dueTimes = new Map<number, number>();

  constructor(deps: TimerWorkerDeps) {
    this.#deps = deps;
  }

  /** Lowers due times after a batch of messages stored earlier ones. */
  lowerDueTimes(dueTimes: ReadonlyMap<number, number>): void {
    for (const [shard, dueMs] of dueTimes) {
      this.#dueTimes.set(shard, earlier(this.#dueTimes.get(shard), dueMs) ?? dueMs);
    }
  }

  /** Replaces all due times by freshly read ones. No messages were applied since the read. */
  setDueTimes(dueTimes: Map<number, number>): void {
    this.#dueTimes = dueTimes;
  }

  /**
   * Evaluates due profiles. Returns when to call again (epoch milliseconds) and how many profiles were
   * evaluated.
   */
  async drain(owned: OwnedShards): Promise<{ readonly nextMs: number; readonly evaluated: number }> {
    const { clock } = this.#deps;
    const startMs = clock.monotonicMs();
    for (const shard of this.#dueTimes.keys())
      if (!owned.shards.includes(shard)) this.#dueTimes.delete(shard);
    let evaluated = 0;
    let budgetMs = BUDGET_MS;
    for (;;) {
      const nowMs = clock.nowMs();
      const firstMs = Math.min(...this.#dueTimes.values());
      if (nowMs < firstMs) return { nextMs: firstMs, evaluated };
      if (nowMs - firstMs > LATE_MS) budgetMs = LATE_BUDGET_MS;
      evaluated += await this.#drainBatch(owned, nowMs);
      this.#deps.metrics.timersLate(nowMs - firstMs);
      if (clock.monotonicMs() - startMs >= budgetMs) return { nextMs: 0, evaluated };
    }
  }

  /** Takes the shards that were due first, up to one batch. */
  async #drainBatch(owned: OwnedShards, nowMs: number): Promise<number> {
    const { reader } = this.#deps.database;
    const soonest = [...this.#dueTimes].filter(([, dueMs]) => dueMs <= nowMs).sort(([, a], [, b]) => a - b);
    const keys: ProfileKey[] = [];
    const shards: number[] = [];
    for (const [shard] of soonest) {
      if (keys.length >= BATCH) break;
      shards.push(shard);
      keys.push(...(await listDueProfiles(reader, shard, nowMs, BATCH - keys.length)));
    }
    if (keys.length > 0) await this.#evaluateProfiles(owned, keys.sort(compareProfileKeys), nowMs);
    const following = await readNextDueTimes(reader, shards);
    for (const shard of shards) {
      const dueMs = following.get(shard);
      if (dueMs === undefined) this.#dueTimes.delete(shard);
      else this.#dueTimes.set(shard, dueMs);
    }
    return keys.length;
  }

  async #evaluateProfiles(owned: OwnedShards, keys: readonly ProfileKey[], nowMs: number): Promise<void> {
    const shards = [...new Set(keys.map(({ shard }) => shard))].sort((a, b) => a - b);
    await owned.transaction(shards, async (trx) => {
      const stored = await loadStates(trx, keys);
      const profiles = [...stored.values()].sort(compareProfileKeys);
      const definitions = await this.#definitions(trx, profiles, nowMs);
      const changed: ChangedProfile[] = [];
      const rebuilds: ProfileKey[] = [];
      const slices = new TransactionSlices(this.#deps.clock);
      for (const profile of profiles) {
        const own = definitions.get(profile.organizationId);
        if (own === undefined) continue;
        changed.push(await evaluateDueProfile(profile, own, { nowMs, rebuilds, slices }));
      }
      await addProfileRebuilds(trx, rebuilds);
      await saveChangedProfiles(trx, changed, this.#deps.announcer, nowMs);
      const changes = changed.reduce((sum, one) => sum + one.changes.length, 0);
      this.#deps.metrics.timersEvaluated(profiles.length, changes);
    });
  }

  #definitions(
    trx: Transaction,
    profiles: readonly StoredProfile[],
    nowMs: number,
  ): Promise<Map<OrganizationId, Definitions>> {
    const organizationIds = [...new Set(profiles.map(({ organizationId }) => organizationId))];
    return this.#deps.definitions.load(trx, organizationIds, nowMs);
  }
}

/** What evaluating a batch needs, and the profiles to rebuild. */
interface DueEvaluation {
  readonly nowMs: number;
  readonly rebuilds: ProfileKey[];
  readonly slices: TransactionSlices;
}

async function evaluateDueProfile(
  profile: StoredProfile,
  definitions: Definitions,
  { nowMs, rebuilds, slices }: DueEvaluation,
): Promise<ChangedProfile> {
  const { state } = profile;
  if (needsRebuild(state, nowMs)) {
    // From here on the rebuild mark, not the due time, makes readers wait.
    state.rebuildDueMs = undefined;
    rebuilds.push(keyOf(profile));
  }
  applyDueEvents(state, definitions, nowMs, new Set());
  const steps = evaluateInSteps(state, definitions, definitions.segments.values(), nowMs);
  return {
    ...keyOf(profile),
    state,
    ...(await slices.run(steps)),
    isStored: true,
    causeOf(change) {
      const rule = definitions.segments.get(change.evaluationId)?.rule;
      const view = viewOf(state, definitions.ruleOf);
      const resultAt = rule && ((ms: number) => evaluate(rule, view, ms));
      return timerCause(change, resultAt, profile.nextDueMs, nowMs);
    },
  };
}
