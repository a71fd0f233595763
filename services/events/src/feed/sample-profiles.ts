// SampleProfiles returns the number of root profiles and a random sample from one shard.
import type { EventFeedService } from "@muster/contracts/muster/events/v1/event_feed_service_pb";
import { bytesToUuid, type OrganizationId, SeededRandom } from "@muster/core";
import type { UnaryHandler } from "@muster/rpc";
import type { EventsDeps } from "../handlers/deps.ts";
import { countProfiles, listShardProfileIds } from "../profile-storage/profile-store.ts";

export function sampleProfiles(
  deps: EventsDeps,
): UnaryHandler<typeof EventFeedService.method.sampleProfiles> {
  return async ({ organizationId, shard, limit, seed }) => {
    const organization = bytesToUuid<OrganizationId>(organizationId);
    const db = deps.database.reader;
    const profileCount = await countProfiles(db, organization);
    const ids = limit === 0 ? [] : await listShardProfileIds(db, organization, shard);
    const random = new SeededRandom(Number(seed));
    const count = Math.min(limit, ids.length);
    // The first steps of a Fisher-Yates shuffle: each position gets any remaining id with equal probability.
    for (let index = 0; index < count; index += 1) {
      const other = random.integer(index, ids.length - 1);
      const [one, two] = [ids[index], ids[other]];
      if (one !== undefined && two !== undefined) [ids[index], ids[other]] = [two, one];
    }
    return { profileCount: BigInt(profileCount), profileIds: ids.slice(0, count) };
  };
}
