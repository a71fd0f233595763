// Removes what deleted segments left behind: memberships, counts, and facts that nothing reads any more.
import type { Clock } from "@muster/core";
import type { Database, Transaction } from "@muster/db";
import type { OwnedShards } from "@muster/outbox";
import { advancePurges, listPurges, type Purge } from "../backfills/purge-store.ts";
import { prune } from "../engine/profile-state.ts";
import { deleteCounts, deleteMemberships } from "../memberships/membership-store.ts";
import { listStates, type StoredProfile, saveStates } from "../profiles/state-store.ts";
import type { DefinitionsCache } from "../segments/definitions-cache.ts";
import { Lookout } from "./lookout.ts";

export interface PurgeDeps {
  readonly clock: Clock;
  readonly database: Database;
  readonly definitions: DefinitionsCache;
}

const PROFILES = 250;
const PURGES_MAX = 200;

/**
 * Works in the shard's owner, so that no fold with older definitions can write behind it: the owner's next
 * fold loads what is newest, and another owner's late one does not commit.
 */
export class Purges {
  readonly #deps: PurgeDeps;
  readonly #lookout = new Lookout();

  constructor(deps: PurgeDeps) {
    this.#deps = deps;
  }

  /** Something may have been added. */
  look(): void {
    this.#lookout.ask();
  }

  /** One chunk. Resolves to when the next is wanted. */
  async step(owned: OwnedShards): Promise<number> {
    const nowMs = this.#deps.clock.nowMs();
    if (nowMs < this.#lookout.nextMs) return this.#lookout.nextMs;
    this.#lookout.begin();
    const purges = await listPurges(this.#deps.database.reader, owned.shards, PURGES_MAX);
    const [leader] = purges;
    if (leader === undefined) {
      this.#lookout.rest();
      return this.#lookout.nextMs;
    }
    const { organizationId, shard } = leader;
    const together = purges.filter((one) => one.organizationId === organizationId && one.shard === shard);
    await owned.transaction([shard], (trx) => this.#purge(trx, leader, together, nowMs));
    return 0;
  }

  async #purge(trx: Transaction, leader: Purge, together: readonly Purge[], nowMs: number): Promise<void> {
    const { organizationId, shard, afterProfileId } = leader;
    const profiles = await listStates(trx, organizationId, shard, afterProfileId, PROFILES);
    const last = profiles.length === PROFILES ? profiles.at(-1)?.profileId : undefined;
    // Others whose cursors lie in this chunk go along: one pass serves them all.
    const covered = together.filter(
      (one) => one.afterProfileId >= afterProfileId && (last === undefined || one.afterProfileId <= last),
    );
    const segmentIds = covered.map(({ segmentId }) => segmentId).sort();
    const loaded = await this.#deps.definitions.load(trx, [organizationId], nowMs);
    const definitions = loaded.get(organizationId);
    const pruned: StoredProfile[] = [];
    for (const profile of profiles) {
      if (definitions !== undefined && prune(profile.state, definitions)) pruned.push(profile);
    }
    await saveStates(trx, pruned);
    await deleteMemberships(
      trx,
      organizationId,
      segmentIds,
      profiles.map(({ profileId }) => profileId),
    );
    if (last === undefined) await deleteCounts(trx, organizationId, segmentIds, shard);
    await advancePurges(trx, covered, last);
  }
}
