// Evaluates profiles whose memberships may change by time alone: windows that end, future events that come
// due.
import type { Clock, OrganizationId } from "@muster/core";
import type { Database, Transaction } from "@muster/db";
import type { OwnedShards } from "@muster/outbox";
import type { ProfileKey } from "../backfills/backfill-store.ts";
import { addProfileDerivations } from "../backfills/derivation-store.ts";
import type { Announcer } from "../changes/announcer.ts";
import { timerCause } from "../changes/cause.ts";
import type { Definitions } from "../engine/definitions.ts";
import { evaluate } from "../engine/evaluate.ts";
import { earlier, evaluateAll } from "../engine/membership.ts";
import { needsDerivation, viewOf } from "../engine/profile-state.ts";
import {
  compareProfileKeys,
  listDue,
  loadStates,
  readNextDues,
  type StoredProfile,
} from "../profiles/state-store.ts";
import { keyOf, saveTouched, type TouchedProfile } from "../profiles/touched-profile.ts";
import type { DefinitionsCache } from "../segments/definitions-cache.ts";
import type { SegmentsMetrics } from "../segments-metrics.ts";

export interface TimerDeps {
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
export class Timers {
  readonly #deps: TimerDeps;
  /** A lower bound of the due time of each shard's first profile. */
  #dues = new Map<number, number>();

  constructor(deps: TimerDeps) {
    this.#deps = deps;
  }

  /** Lowers due times after a batch of messages stored earlier ones. */
  lowered(dues: ReadonlyMap<number, number>): void {
    for (const [shard, dueMs] of dues) {
      this.#dues.set(shard, earlier(this.#dues.get(shard), dueMs) ?? dueMs);
    }
  }

  /** Replaces all due times by freshly read ones. No messages were applied since the read. */
  seen(dues: Map<number, number>): void {
    this.#dues = dues;
  }

  /**
   * Evaluates due profiles. Returns when to call again (epoch milliseconds) and how many profiles were
   * evaluated.
   */
  async drain(owned: OwnedShards): Promise<{ readonly nextMs: number; readonly visited: number }> {
    const { clock } = this.#deps;
    const startMs = clock.monotonicMs();
    for (const shard of this.#dues.keys()) if (!owned.shards.includes(shard)) this.#dues.delete(shard);
    let visited = 0;
    let budgetMs = BUDGET_MS;
    for (;;) {
      const nowMs = clock.nowMs();
      const firstMs = Math.min(...this.#dues.values());
      if (nowMs < firstMs) return { nextMs: firstMs, visited };
      if (nowMs - firstMs > LATE_MS) budgetMs = LATE_BUDGET_MS;
      visited += await this.#drainBatch(owned, nowMs);
      this.#deps.metrics.timersLate(nowMs - firstMs);
      if (clock.monotonicMs() - startMs >= budgetMs) return { nextMs: 0, visited };
    }
  }

  /** Takes the shards that were due first, up to one batch. */
  async #drainBatch(owned: OwnedShards, nowMs: number): Promise<number> {
    const { reader } = this.#deps.database;
    const soonest = [...this.#dues].filter(([, dueMs]) => dueMs <= nowMs).sort(([, a], [, b]) => a - b);
    const keys: ProfileKey[] = [];
    const shards: number[] = [];
    for (const [shard] of soonest) {
      if (keys.length >= BATCH) break;
      shards.push(shard);
      keys.push(...(await listDue(reader, shard, nowMs, BATCH - keys.length)));
    }
    if (keys.length > 0) await this.#visit(owned, keys.sort(compareProfileKeys), nowMs);
    const following = await readNextDues(reader, shards);
    for (const shard of shards) {
      const dueMs = following.get(shard);
      if (dueMs === undefined) this.#dues.delete(shard);
      else this.#dues.set(shard, dueMs);
    }
    return keys.length;
  }

  async #visit(owned: OwnedShards, keys: readonly ProfileKey[], nowMs: number): Promise<void> {
    const shards = [...new Set(keys.map(({ shard }) => shard))].sort((a, b) => a - b);
    await owned.transaction(shards, async (trx) => {
      const stored = await loadStates(trx, keys);
      const profiles = [...stored.values()].sort(compareProfileKeys);
      const definitions = await this.#definitions(trx, profiles, nowMs);
      const touched: TouchedProfile[] = [];
      const derive: ProfileKey[] = [];
      for (const profile of profiles) {
        const own = definitions.get(profile.organizationId);
        if (own !== undefined) touched.push(visitProfile(profile, own, nowMs, derive));
      }
      await addProfileDerivations(trx, derive);
      await saveTouched(trx, touched, this.#deps.announcer, nowMs);
      const changes = touched.reduce((sum, one) => sum + one.changes.length, 0);
      this.#deps.metrics.timersVisited(profiles.length, changes);
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

function visitProfile(
  profile: StoredProfile,
  definitions: Definitions,
  nowMs: number,
  derive: ProfileKey[],
): TouchedProfile {
  const { state } = profile;
  if (needsDerivation(state, nowMs)) {
    // From here on the rebuild mark, not the due time, makes readers wait.
    state.droppedMs = undefined;
    derive.push(keyOf(profile));
  }
  const { changes, nextDueMs } = evaluateAll(state, definitions, nowMs);
  return {
    ...{ ...keyOf(profile), state, nextDueMs, isStored: true, changes },
    causeOf(change) {
      const rule = definitions.segments.get(change.segmentId)?.rule;
      const view = viewOf(state, definitions.ruleOf);
      const answerAt = rule && ((ms: number) => evaluate(rule, view, ms));
      return timerCause(change, answerAt, profile.nextDueMs, nowMs);
    },
  };
}
