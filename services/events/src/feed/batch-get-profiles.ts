// BatchGetProfiles returns the visible profiles of the given ids; unknown ids are omitted. A response that
// would become too large returns the other ids to the caller.
import { create, toBinary } from "@bufbuild/protobuf";
import type { EventFeedService } from "@muster/contracts/muster/events/v1/event_feed_service_pb";
import { type Profile, ProfileSchema } from "@muster/contracts/muster/events/v1/profile_pb";
import {
  bytesToUuid,
  chunksOf,
  type OrganizationId,
  PAGE_BYTES_MAX,
  type ProfileId,
  uuidToBytes,
} from "@muster/core";
import type { Queryable } from "@muster/db";
import { invalidField } from "@muster/errors";
import type { UnaryHandler } from "@muster/rpc";
import type { EventsDeps } from "../handlers/deps.ts";
import { rootsOf } from "../identity-graph/links-store.ts";
import { listProfileGroups } from "../identity-graph/load-profile-groups.ts";
import { effectiveProfile } from "../identity-graph/profile-group.ts";
import { getProfiles } from "../profile-storage/profile-store.ts";
import { profileToProto } from "../profiles/profile-proto.ts";

/** Profiles of one read. The largest profiles of a read together fit into a response. */
const READ_AT_ONCE = 50;
/** The wrapping of a profile in the response, and its id among the profiles that are left out. */
const ITEM_BYTES = 32;

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
    const profiles: Profile[] = [];
    let bytes = 0;
    for (const ids of chunksOf([...rootIds], READ_AT_ONCE)) {
      for (const profile of await readProfiles(db, organization, ids)) {
        bytes += toBinary(ProfileSchema, profile).byteLength + ITEM_BYTES;
        // The first profile always fits, so that repeated requests come to an end.
        if (bytes > PAGE_BYTES_MAX && profiles.length > 0)
          return { profiles, leftProfileIds: Array.from(rootIds, uuidToBytes) };
        profiles.push(profile);
        rootIds.delete(profile.id as ProfileId);
      }
    }
    return { profiles };
  };
}

async function readProfiles(
  db: Queryable,
  organizationId: OrganizationId,
  rootIds: readonly ProfileId[],
): Promise<Profile[]> {
  const roots = await getProfiles(db, organizationId, rootIds.map(uuidToBytes));
  const groups = await listProfileGroups(db, organizationId, roots);
  return groups.map((group) => create(ProfileSchema, profileToProto(effectiveProfile(group))));
}
