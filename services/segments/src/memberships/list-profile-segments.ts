// ListProfileSegments: the segments that one profile is in, oldest segment first.
import type { SegmentService } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import { isUuid, type OrganizationId, type ProfileId, type SegmentId, shardOf } from "@muster/core";
import { AppError } from "@muster/errors";
import { type CallContext, type MethodHandler, onBehalfOf } from "@muster/rpc";
import { ALL_SHARDS, isProfilePending } from "../backfills/backfill-store.ts";
import type { SegmentsDeps } from "../deps.ts";
import { cutPage, readPage } from "../page.ts";
import { loadStates, profileKeyText } from "../profiles/state-store.ts";
import { ensureTouched } from "../segments/organization-store.ts";
import { describeSegments } from "../segments/segment-proto.ts";
import { listSegmentsByIds } from "../segments/segment-store.ts";

export function listProfileSegments(
  deps: SegmentsDeps,
): MethodHandler<typeof SegmentService.method.listProfileSegments> {
  return async (request, context) => {
    const { organizationId } = context;
    const profileId = await findProfile(deps, context, request.profileId);
    const scope = `profile-segments/${organizationId}/${profileId}`;
    const { size, afterId } = readPage(deps.pageTokens, scope, request);
    const shard = shardOf(organizationId, profileId);
    const db = deps.database.reader;
    await ensureTouched(deps.database, organizationId, deps.clock.nowMs());
    await deps.consistency.wait(context, {
      organizationId,
      // Of its own shard for the memberships, of the others for the counts that come with them.
      shards: ALL_SHARDS,
      isDerivationPending: () => isProfilePending(db, organizationId, shard, profileId),
    });
    const ids = await segmentIdsOf(deps, organizationId, shard, profileId);
    const found = await listSegmentsByIds(db, organizationId, ids, afterId, size + 1);
    const { rows, nextPageToken } = cutPage(deps.pageTokens, scope, found, size, ({ id }) => id);
    return { segments: await describeSegments(db, organizationId, rows), nextPageToken };
  };
}

/** PROFILE_NOT_FOUND when the organisation has none of this id. */
async function findProfile(
  { feed }: SegmentsDeps,
  context: CallContext,
  profileId: string,
): Promise<ProfileId> {
  if (!isUuid(profileId)) throw new AppError("PROFILE_NOT_FOUND");
  const id = profileId as ProfileId;
  const found = await feed.profiles(context.organizationId, [id], onBehalfOf(context));
  if (!found.has(id)) throw new AppError("PROFILE_NOT_FOUND");
  return id;
}

async function segmentIdsOf(
  { database }: SegmentsDeps,
  organizationId: OrganizationId,
  shard: number,
  profileId: ProfileId,
): Promise<SegmentId[]> {
  const stored = await loadStates(database.reader, [{ organizationId, shard, profileId }]);
  const state = stored.get(profileKeyText(organizationId, profileId))?.state;
  return [...(state?.memberships.keys() ?? [])];
}
