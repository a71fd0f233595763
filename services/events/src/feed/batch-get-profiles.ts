// BatchGetProfiles returns the visible profiles of the given ids; unknown ids are omitted.
import type { EventFeedService } from "@muster/contracts/muster/events/v1/event_feed_service_pb";
import { bytesToUuid, type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import { invalidField } from "@muster/errors";
import type { UnaryHandler } from "@muster/rpc";
import type { EventsDeps } from "../handlers/deps.ts";
import { rootsOf } from "../identity-graph/links-store.ts";
import { listProfileGroups } from "../identity-graph/load-profile-groups.ts";
import { effectiveProfile } from "../identity-graph/profile-group.ts";
import { getProfiles } from "../profile-storage/profile-store.ts";
import { profileToProto } from "../profiles/profile-proto.ts";

export function batchGetProfiles(
  deps: EventsDeps,
): UnaryHandler<typeof EventFeedService.method.batchGetProfiles> {
  return async ({ organizationId, profileIds }) => {
    if (profileIds.some((id) => id.byteLength !== 16))
      throw invalidField("profile_ids", "must be of 16 bytes each");
    if (profileIds.length === 0) return { profiles: [] };
    const organization = bytesToUuid<OrganizationId>(organizationId);
    const db = deps.database.reader;
    const requested = profileIds.map((id) => bytesToUuid<ProfileId>(id));
    const rootIds = new Set((await rootsOf(db, organization, requested)).values());
    const roots = await getProfiles(db, organization, Array.from(rootIds, uuidToBytes));
    const groups = await listProfileGroups(db, organization, roots);
    return { profiles: groups.map((group) => profileToProto(effectiveProfile(group))) };
  };
}
