// Visits profiles whose answers may have changed by time alone: windows that end, future events that come due.
import type { Clock, OrganizationId } from "@muster/core";
import type { Database, Transaction } from "@muster/db";
import type { OwnedShards } from "@muster/outbox";
import { addProfileDerivations, type ProfileKey } from "../backfills/backfill-store.ts";
import type { Definitions } from "../engine/definitions.ts";
import { evaluateAll } from "../engine/membership.ts";
import { needsDerivation } from "../engine/profile-state.ts";
import {
  compareProfileKeys,
  listDue,
  loadStates,
  readNextDue,
  type StoredProfile,
} from "../profiles/state-store.ts";
import { keyOf, saveTouched, type TouchedProfile } from "../profiles/touched-profile.ts";
import type { DefinitionsCache } from "../segments/definitions-cache.ts";
import type { SegmentsMetrics } from "../segments-metrics.ts";
import { Lookout } from "./lookout.ts";

export interface TimerDeps {
  readonly clock: Clock;
  readonly database: Database;
  readonly definitions: DefinitionsCache;
  readonly metrics: SegmentsMetrics;
}

const BATCH = 500;
/** One call's share while folding waits for it… */
const BUDGET_MS = 50;
/** …and when visits are late: no exit may be late by a second, whatever else there is to do. */
const LATE_BUDGET_MS = 400;
const LATE_MS = 300;
/** Net under everything else: another owner may have lowered a due time before this one took over. */
const LOOK_MS = 1000;

export class Timers {
  readonly #deps: TimerDeps;
  /** No due time known is before this. */
  #nextDueMs = 0;
  readonly #lookout = new Lookout();

  constructor(deps: TimerDeps) {
    this.#deps = deps;
  }

  /** A fold has written a due time. */
  lowered(dueMs: number | undefined): void {
    if (dueMs !== undefined && dueMs < this.#nextDueMs) this.#nextDueMs = dueMs;
  }

  /** Somebody waits: look, whatever is known. */
  look(): void {
    this.#lookout.ask();
  }

  /** Visits what is due. Resolves to when it wants to be called again, and how many were visited. */
  async drain(owned: OwnedShards): Promise<{ readonly nextMs: number; readonly visited: number }> {
    const { clock, database } = this.#deps;
    const startMs = clock.monotonicMs();
    let visited = 0;
    let budgetMs = BUDGET_MS;
    for (;;) {
      const nowMs = clock.nowMs();
      const nextMs = Math.min(this.#nextDueMs, this.#lookout.nextMs);
      if (nowMs < nextMs) return { nextMs, visited };
      this.#lookout.begin();
      const due = await listDue(database.reader, owned.shards, nowMs, BATCH);
      const [first] = due;
      if (first === undefined) {
        const horizonMs = nowMs + LOOK_MS;
        const dueMs = await readNextDue(database.reader, owned.shards, horizonMs);
        this.#nextDueMs = dueMs ?? Number.POSITIVE_INFINITY;
        this.#lookout.restUntil(horizonMs);
        continue;
      }
      if (nowMs - first.dueMs > LATE_MS) budgetMs = LATE_BUDGET_MS;
      const keys = due.map(({ key }) => key).sort(compareProfileKeys);
      await this.#visit(owned, keys, nowMs);
      this.#deps.metrics.timersVisited(due.length, nowMs - first.dueMs);
      visited += due.length;
      if (clock.monotonicMs() - startMs >= budgetMs) return { nextMs: 0, visited };
    }
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
      await saveTouched(trx, touched, nowMs);
      const changes = touched.reduce((sum, one) => sum + one.changes.length, 0);
      this.#deps.metrics.membershipsChanged("timer", changes);
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
    // From here on the mark keeps readers waiting, not the due time.
    state.droppedMs = undefined;
    derive.push(keyOf(profile));
  }
  const { changes, nextDueMs } = evaluateAll(state, definitions, nowMs);
  return { ...keyOf(profile), state, nextDueMs, isStored: true, changes };
}
