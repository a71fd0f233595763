// SampleProfiles returns the number of root profiles and a random sample from one shard. Memory is bounded by
// the sample and one statement, whatever the number of profiles.
import type { EventFeedService } from "@muster/contracts/muster/events/v1/event_feed_service_pb";
import { bytesToUuid, type OrganizationId, SeededRandom, WorkBudget } from "@muster/core";
import type { UnaryHandler } from "@muster/rpc";
import type { EventsDeps } from "../handlers/deps.ts";
import { countProfiles, listShardProfileIds } from "../profile-storage/profile-store.ts";

const IDS_AT_ONCE = 5000;

export function sampleProfiles(
  deps: EventsDeps,
): UnaryHandler<typeof EventFeedService.method.sampleProfiles> {
  return async ({ organizationId, shard, limit, seed }, { signal }) => {
    const organization = bytesToUuid<OrganizationId>(organizationId);
    const db = deps.database.reader;
    const budget = WorkBudget.inSlices({ clock: deps.clock, signal });
    const profileCount = await countProfiles(db, organization);
    const sample = new Sample(limit, new SeededRandom(Number(seed)));
    for (let after: Buffer | undefined, isLast = limit === 0; !isLast; ) {
      const ids = await listShardProfileIds(db, organization, { shard, after, limit: IDS_AT_ONCE });
      for (const id of ids) sample.add(id);
      after = ids.at(-1);
      isLast = ids.length < IDS_AT_ONCE;
      budget.spend(ids.length);
      if (budget.isSliceOver) await budget.turn();
    }
    return { profileCount: BigInt(profileCount), profileIds: sample.ids() };
  };
}

interface Drawn {
  readonly id: Buffer;
  readonly rank: number;
}

/**
 * Keeps the ids with the smallest random ranks. Each of the added ids is in the sample with equal probability,
 * and a smaller sample with the same seed is the beginning of a larger sample.
 */
class Sample {
  readonly #limit: number;
  readonly #random: SeededRandom;
  #drawn: Drawn[] = [];
  /** Ranks of the sample are below this number. */
  #rankMax = 1;

  constructor(limit: number, random: SeededRandom) {
    this.#limit = limit;
    this.#random = random;
  }

  add(id: Buffer): void {
    const rank = this.#random.next();
    if (rank >= this.#rankMax) return;
    this.#drawn.push({ id, rank });
    if (this.#drawn.length >= 2 * this.#limit + IDS_AT_ONCE) this.#cut();
  }

  /** Returns the ids by rank. */
  ids(): Buffer[] {
    this.#cut();
    return this.#drawn.map(({ id }) => id);
  }

  #cut(): void {
    this.#drawn = this.#drawn.sort((a, b) => a.rank - b.rank).slice(0, this.#limit);
    if (this.#drawn.length === this.#limit) this.#rankMax = this.#drawn.at(-1)?.rank ?? 0;
  }
}
