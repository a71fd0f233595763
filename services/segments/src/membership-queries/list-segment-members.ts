// ListSegmentMembers: returns the members of a segment by profile id, with their times of entry.

import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Profile } from "@muster/contracts/muster/events/v1/profile_pb";
import type { SegmentMemberSchema } from "@muster/contracts/muster/segments/v1/segment_pb";
import type { SegmentService } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import type { ProfileId } from "@muster/core";
import { AppError } from "@muster/errors";
import { cutPage, idPosition, type MethodHandler, onBehalfOf, readPage } from "@muster/rpc";
import type { SegmentsDeps } from "../handlers/deps.ts";
import { listMembers, type Member } from "../memberships/membership-store.ts";
import { findSegmentById } from "../segment-model/segment-store.ts";
import { findSegment } from "../segments/find-segment.ts";
import { waitForSegments } from "../segments/wait-for-segments.ts";

export function listSegmentMembers(
  deps: SegmentsDeps,
): MethodHandler<typeof SegmentService.method.listSegmentMembers> {
  return async (request, context) => {
    const { organizationId } = context;
    const segment = await findSegment(deps, organizationId, request.segmentId);
    const scope = `members/${organizationId}/${segment.id}`;
    const { size, after } = readPage(deps.pageTokens, scope, request, idPosition<ProfileId>);
    await waitForSegments(deps, context, organizationId, [segment]);
    // Read again in one snapshot, because the rule may have switched meanwhile, or may switch between two
    // statements.
    const found = await deps.database.snapshot(async (trx) => {
      const current = await findSegmentById(trx, organizationId, segment.id);
      if (current === undefined) throw new AppError("SEGMENT_NOT_FOUND");
      return listMembers(trx, organizationId, current.evaluationId, after, size + 1);
    });
    const { rows, nextPageToken } = cutPage(deps.pageTokens, scope, found, size, (row) => [row.profileId]);
    const ids = rows.map(({ profileId }) => profileId);
    const profiles = await deps.feed.profiles(organizationId, ids, onBehalfOf(context));
    return {
      // A profile that was erased meanwhile is left out.
      profiles: rows.flatMap((member) => toProto(member, profiles.get(member.profileId))),
      nextPageToken,
    };
  };
}

function toProto(
  { enteredMs }: Member,
  profile: Profile | undefined,
): MessageInitShape<typeof SegmentMemberSchema>[] {
  if (profile === undefined) return [];
  const { $typeName: _, $unknown: __, ...fields } = profile;
  return [{ ...fields, enteredAt: timestampFromMs(enteredMs) }];
}
