// BatchResolveProfiles resolves user ids and profile ids to root profiles; unknown ids are omitted.
import type { EventFeedService } from "@muster/contracts/muster/events/v1/event_feed_service_pb";
import { bytesToUuid, type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import type { UnaryHandler } from "@muster/rpc";
import type { EventsDeps } from "../handlers/deps.ts";
import { rootsOf } from "../identity-graph/links-store.ts";
import { findOwners } from "../profile-storage/identity-store.ts";

export function batchResolveProfiles(
  deps: EventsDeps,
): UnaryHandler<typeof EventFeedService.method.batchResolveProfiles> {
  return async ({ organizationId, userIds, profileIds }) => {
    const organization = bytesToUuid<OrganizationId>(organizationId);
    const db = deps.database.reader;
    const owners = await findOwners(db, organization, "user_id", userIds);
    const users = [...owners].map(([userId, { rootId }]) => ({ userId, profileId: uuidToBytes(rootId) }));
    const requested = profileIds.map((id) => bytesToUuid<ProfileId>(id));
    const roots = [...(await rootsOf(db, organization, requested))];
    return {
      users,
      profileIds: roots.map(([profileId]) => uuidToBytes(profileId)),
      rootIds: roots.map(([, rootId]) => uuidToBytes(rootId)),
    };
  };
}
