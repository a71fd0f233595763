// Purges the data of deleted segments and replaced rules: memberships, counts and unused facts. After a rule
// switch, the same walk publishes the differences between both rules.
import type { Clock } from "@muster/core";
import type { Database, Transaction } from "@muster/db";
import type { OwnedShards } from "@muster/outbox";
import { LAST_PROFILE } from "../backfills/backfill-store.ts";
import { advancePurges, listPurges, type Purge } from "../backfills/purge-store.ts";
import type { Announcer } from "../changes/announcer.ts";
import { differencesOf } from "../changes/tellings.ts";
import { prune } from "../engine/profile-state.ts";
import { deleteCounts, deleteMemberships, saveEntered } from "../memberships/membership-store.ts";
import { listStates, type StoredProfile, saveStates } from "../profiles/state-store.ts";
import type { DefinitionsCache } from "../segments/definitions-cache.ts";
import { lockOrganization } from "../segments/organization-store.ts";
import { takeOver } from "../segments/take-over.ts";
import { endTelling } from "../segments/telling-store.ts";
import { Lookout } from "./lookout.ts";

export interface PurgeDeps {
  readonly announcer: Announcer;
  readonly clock: Clock;
  readonly database: Database;
  readonly definitions: DefinitionsCache;
}

/** Profiles of one transaction. */
const PROFILES = 250;
/** Purges read at once. Purges of the same organization and shard share a pass. */
const PURGES_MAX = 200;

/**
 * Runs in the shard's owner, so that no batch with older definitions can write after a purge. The owner's
 * next batch loads the newest definitions, and a late batch of another owner does not commit.
 */
export class Purges {
  readonly #deps: PurgeDeps;
  readonly #lookout = new Lookout();

  constructor(deps: PurgeDeps) {
    this.#deps = deps;
  }

  /** Called when a purge may have been added. */
  look(): void {
    this.#lookout.ask();
  }

  /**
   * Processes one chunk. Returns when the next is wanted, and whether a reader may be waiting for finished
   * work.
   */
  async step(owned: OwnedShards): Promise<{ readonly nextMs: number; readonly settled: boolean }> {
    const nowMs = this.#deps.clock.nowMs();
    if (nowMs < this.#lookout.nextMs) return { nextMs: this.#lookout.nextMs, settled: false };
    this.#lookout.begin();
    const purges = await listPurges(this.#deps.database.reader, owned.shards, PURGES_MAX);
    const [leader] = purges;
    if (leader === undefined) {
      this.#lookout.rest();
      return { nextMs: this.#lookout.nextMs, settled: false };
    }
    const { organizationId, shard } = leader;
    const together = purges.filter((one) => one.organizationId === organizationId && one.shard === shard);
    const isEnding = isTold(leader);
    await owned.transaction([shard], (trx) =>
      isEnding ? this.#endTellings(trx, together.filter(isTold)) : this.#purge(trx, leader, together, nowMs),
    );
    return { nextMs: 0, settled: isEnding };
  }

  /**
   * Ends rule switches with all changes of the shard published. After the last shard, the next rule may take
   * over.
   */
  async #endTellings(trx: Transaction, purges: readonly Purge[]): Promise<void> {
    for (const { organizationId, segmentId } of purges) {
      // Locks the organization first, which is the lock order of all writers.
      await lockOrganization(trx, organizationId);
      await advancePurges(
        trx,
        purges.filter((purge) => purge.segmentId === segmentId),
        undefined,
      );
      if (await endTelling(trx, organizationId, segmentId)) {
        await takeOver(trx, organizationId, this.#deps.announcer);
      }
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
    const segmentIds = covered.map(({ segmentId }) => segmentId).sort();
    const loaded = await this.#deps.definitions.load(trx, [organizationId], nowMs);
    const definitions = loaded.get(organizationId);
    const changed = new Set<StoredProfile>();
    for (const purge of covered) {
      for (const profile of await this.#tell(trx, purge, profiles, nowMs)) changed.add(profile);
    }
    for (const profile of profiles) {
      if (definitions !== undefined && prune(profile.state, definitions)) changed.add(profile);
    }
    await saveStates(
      trx,
      profiles.filter((profile) => changed.has(profile)),
    );
    await deleteMemberships(
      trx,
      organizationId,
      segmentIds,
      profiles.map(({ profileId }) => profileId),
    );
    if (last === undefined) await deleteCounts(trx, organizationId, segmentIds, shard);
    const isTelling = ({ telling }: Purge) => telling !== undefined;
    await advancePurges(trx, covered.filter(isTelling), last ?? LAST_PROFILE);
    await advancePurges(
      trx,
      covered.filter((purge) => !isTelling(purge)),
      last,
    );
  }

  /**
   * Publishes the differences between the replaced rule and its successor. Returns the profiles with changed
   * states.
   */
  async #tell(
    trx: Transaction,
    { telling, ...purge }: Purge,
    profiles: readonly StoredProfile[],
    nowMs: number,
  ): Promise<StoredProfile[]> {
    if (telling === undefined) return [];
    const { changes, entered } = await differencesOf(trx, { ...purge, telling }, profiles, nowMs);
    await this.#deps.announcer.announceChanges(trx, changes);
    await saveEntered(trx, entered);
    const enteredMs = new Map(entered.map((member) => [member.profileId, member.enteredMs]));
    return profiles.filter(({ profileId, state }) => {
      const sinceMs = enteredMs.get(profileId);
      if (sinceMs !== undefined) state.memberships.set(telling.heirId, sinceMs);
      return sinceMs !== undefined;
    });
  }
}

/** Whether all differences of the shard have been published. */
function isTold({ telling, afterProfileId }: Purge): boolean {
  return telling !== undefined && afterProfileId === LAST_PROFILE;
}
