// Purges the data of deleted segments and replaced rules: memberships, counts and unused facts. After a rule
// switch, the same walk publishes the differences between both rules.

import type { Clock } from "@muster/core";
import type { Database, Transaction } from "@muster/db";
import type { OwnedShards } from "@muster/outbox";
import type { Announcer } from "../announcements/announcer.ts";
import { prune } from "../engine/state/profile-state.ts";
import { deleteMemberships, saveEnteredTimes } from "../memberships/membership-store.ts";
import { deleteCounts } from "../memberships/segment-count-store.ts";
import { lockOrganization } from "../organizations/organization-store.ts";
import { keyOf, LAST_PROFILE } from "../profiles/profile-key.ts";
import { addProfileRebuilds } from "../profiles/rebuild-store.ts";
import { listStates, type StoredProfile, saveStates } from "../profiles/state-store.ts";
import { WorkSchedule } from "../work-schedule.ts";
import type { DefinitionsCache } from "./definitions-cache.ts";
import { advancePurges, listPurges, type Purge } from "./purge-store.ts";
import { endRuleSwitch } from "./rule-switch.ts";
import { differencesOf } from "./rule-switch-changes.ts";

export interface PurgeWorkerDeps {
  readonly announcer: Announcer;
  readonly clock: Clock;
  readonly database: Database;
  readonly definitions: DefinitionsCache;
  /** Called when profiles were marked for a rebuild. */
  readonly onMarked: () => void;
}

/** Profiles of one transaction. */
const PROFILES = 250;
/** Purges read at once. Purges of the same organization and shard share a pass. */
const PURGES_MAX = 200;

/**
 * Runs in the shard's owner, so that no batch with older definitions can write after a purge. The owner's
 * next batch loads the newest definitions, and a late batch of another owner does not commit.
 */
export class PurgeWorker {
  readonly #deps: PurgeWorkerDeps;
  readonly #schedule = new WorkSchedule();

  constructor(deps: PurgeWorkerDeps) {
    this.#deps = deps;
  }

  /** Called when a purge may have been added. */
  wake(): void {
    this.#schedule.wake();
  }

  /**
   * Processes one chunk. Returns when the next is wanted, and whether a reader may be waiting for finished
   * work.
   */
  async step(owned: OwnedShards): Promise<{ readonly nextMs: number; readonly hasFinishedWork: boolean }> {
    const nowMs = this.#deps.clock.nowMs();
    if (nowMs < this.#schedule.nextMs) return { nextMs: this.#schedule.nextMs, hasFinishedWork: false };
    this.#schedule.begin();
    const purges = await listPurges(this.#deps.database.reader, owned.shards, PURGES_MAX);
    const [leader] = purges;
    if (leader === undefined) {
      this.#schedule.sleep();
      return { nextMs: this.#schedule.nextMs, hasFinishedWork: false };
    }
    const { organizationId, shard } = leader;
    const together = purges.filter((one) => one.organizationId === organizationId && one.shard === shard);
    const isEnding = isSwitchPublished(leader);
    await owned.transaction([shard], (trx) =>
      isEnding
        ? this.#endRuleSwitches(trx, together.filter(isSwitchPublished))
        : this.#purge(trx, leader, together, nowMs),
    );
    return { nextMs: 0, hasFinishedWork: isEnding };
  }

  /**
   * Ends rule switches with all changes of the shard published. After the last shard, the next rule may
   * switch.
   */
  async #endRuleSwitches(trx: Transaction, purges: readonly Purge[]): Promise<void> {
    for (const { organizationId, evaluationId } of purges) {
      // Locks the organization first, which is the lock order of all writers.
      await lockOrganization(trx, organizationId);
      await advancePurges(
        trx,
        purges.filter((purge) => purge.evaluationId === evaluationId),
        undefined,
      );
      await endRuleSwitch(trx, organizationId, evaluationId, this.#deps.announcer);
    }
  }

  async #purge(trx: Transaction, leader: Purge, together: readonly Purge[], nowMs: number): Promise<void> {
    const { organizationId, shard, afterProfileId } = leader;
    const profiles = await listStates(trx, organizationId, shard, afterProfileId, PROFILES);
    const last = profiles.length === PROFILES ? profiles.at(-1)?.profileId : undefined;
    // Purges with cursors inside this chunk advance too, so a single pass serves all purges.
    const covered = together.filter(
      (one) => one.afterProfileId >= afterProfileId && (last === undefined || one.afterProfileId <= last),
    );
    const evaluationIds = covered.map(({ evaluationId }) => evaluationId).sort();
    const loaded = await this.#deps.definitions.load(trx, [organizationId], nowMs);
    const definitions = loaded.get(organizationId);
    const changed = new Set<StoredProfile>();
    for (const purge of covered) {
      for (const profile of await this.#publishDifferences(trx, purge, profiles, nowMs)) changed.add(profile);
    }
    for (const profile of profiles) {
      if (definitions !== undefined && prune(profile.state, definitions)) changed.add(profile);
    }
    await saveStates(
      trx,
      profiles.filter((profile) => changed.has(profile)),
    );
    // Without the purged rules, the other predicates may be within the budget of an event again.
    const limited = profiles.filter(({ state }) => state.unknownKeys.size > 0).map(keyOf);
    await addProfileRebuilds(trx, limited);
    if (limited.length > 0) this.#deps.onMarked();
    await deleteMemberships(
      trx,
      organizationId,
      evaluationIds,
      profiles.map(({ profileId }) => profileId),
    );
    if (last === undefined) await deleteCounts(trx, organizationId, evaluationIds, shard);
    const isSwitch = ({ ruleSwitch }: Purge) => ruleSwitch !== undefined;
    await advancePurges(trx, covered.filter(isSwitch), last ?? LAST_PROFILE);
    await advancePurges(
      trx,
      covered.filter((purge) => !isSwitch(purge)),
      last,
    );
  }

  /**
   * Publishes the differences between the replaced rule and its successor. Returns the profiles with changed
   * states.
   */
  async #publishDifferences(
    trx: Transaction,
    { ruleSwitch, ...purge }: Purge,
    profiles: readonly StoredProfile[],
    nowMs: number,
  ): Promise<StoredProfile[]> {
    if (ruleSwitch === undefined) return [];
    const { changes, entered } = await differencesOf(trx, { ...purge, ruleSwitch }, profiles, nowMs);
    await this.#deps.announcer.announceChanges(trx, changes);
    await saveEnteredTimes(trx, entered);
    const enteredMs = new Map(entered.map((member) => [member.profileId, member.enteredMs]));
    return profiles.filter(({ profileId, state }) => {
      const sinceMs = enteredMs.get(profileId);
      if (sinceMs !== undefined) state.memberships.set(ruleSwitch.successorId, sinceMs);
      return sinceMs !== undefined;
    });
  }
}

/** Whether all differences of the shard have been published. */
function isSwitchPublished({ ruleSwitch, afterProfileId }: Purge): boolean {
  return ruleSwitch !== undefined && afterProfileId === LAST_PROFILE;
}
