// ListSegmentMembers: returns the members of a segment by profile id, with their times of entry.

import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Profile } from "@muster/contracts/muster/events/v1/profile_pb";
import { SegmentMemberSchema } from "@muster/contracts/muster/segments/v1/segment_pb";
import type { SegmentService } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import type { ProfileId } from "@muster/core";
import { AppError } from "@muster/errors";
import { idPosition, type MethodHandler, onBehalfOf, readPage } from "@muster/rpc";
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
    const page = readPage(deps.pageTokens, scope, request, idPosition<ProfileId>);
    await waitForSegments(deps, context, organizationId, [segment]);
    // Read again in one snapshot, because the rule may have switched meanwhile, or may switch between two
    // statements.
    const found = await deps.database.snapshot(async (trx) => {
      const current = await findSegmentById(trx, organizationId, segment.id);
      if (current === undefined) throw new AppError("SEGMENT_NOT_FOUND");
      return listMembers(trx, organizationId, current.evaluationId, page.after, page.size + 1);
    });
    const { items, nextPageToken } = await page.fill({
      item: SegmentMemberSchema,
      read: async (after, limit) =>
        found.filter(({ profileId }) => after === undefined || profileId > after).slice(0, limit),
      positionOf: ({ profileId }) => [profileId],
      async toItems(members) {
        const ids = members.map(({ profileId }) => profileId);
        const profiles = await deps.feed.profiles(organizationId, ids, onBehalfOf(context));
        return members.map((member) => toProto(member, profiles.get(member.profileId)));
      },
    });
    return { profiles: items, nextPageToken };
  };
}

/** Undefined for a profile that was erased meanwhile. */
function toProto(
  { enteredMs }: Member,
  profile: Profile | undefined,
): MessageInitShape<typeof SegmentMemberSchema> | undefined {
  if (profile === undefined) return undefined;
  const { $typeName: _, $unknown: __, ...fields } = profile;
  return { ...fields, enteredAt: timestampFromMs(enteredMs) };
}
