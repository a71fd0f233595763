// ListProfileSegments: returns the segments of one profile, oldest segment first.

import { SegmentSchema } from "@muster/contracts/muster/segments/v1/segment_pb";
import type { SegmentService } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import {
  ALL_SHARDS,
  type EvaluationId,
  type OrganizationId,
  type ProfileId,
  type SegmentId,
  shardOf,
} from "@muster/core";
import type { Queryable } from "@muster/db";
import { idPosition, type MethodHandler, readPage } from "@muster/rpc";
import type { SegmentsDeps } from "../handlers/deps.ts";
import { ensureOrganization } from "../organizations/provision-organization.ts";
import { profileKeyText } from "../profiles/profile-key.ts";
import { loadStates } from "../profiles/state-store.ts";
import { isProfilePending } from "../rebuild/profile-pending.ts";
import { listSegmentsByEvaluations } from "../segment-model/segment-store.ts";
import { describeSegments } from "../segments/segment-proto.ts";
import { readRootProfile } from "./read-root-profile.ts";

export function listProfileSegments(
  deps: SegmentsDeps,
): MethodHandler<typeof SegmentService.method.listProfileSegments> {
  return async (request, context) => {
    const { organizationId } = context;
    const db = deps.database.reader;
    return readRootProfile(deps, context, request.profileId, async ({ id }) => {
      const profileId = id as ProfileId;
      const scope = `profile-segments/${organizationId}/${profileId}`;
      const page = readPage(deps.pageTokens, scope, request, idPosition<SegmentId>);
      const shard = shardOf(organizationId, profileId);
      await ensureOrganization(deps.database, organizationId, deps.clock.nowMs());
      await deps.consistency.wait(context, {
        organizationId,
        // The profile's own shard holds the memberships; the others are read for the member counts.
        shards: ALL_SHARDS,
        hasPendingWork: () => isProfilePending(db, organizationId, shard, profileId),
      });
      return deps.database.snapshot(async (trx) => {
        const evaluationIds = await evaluationIdsOf(trx, organizationId, shard, profileId);
        const { items, nextPageToken } = await page.fill({
          item: SegmentSchema,
          read: (after, limit) =>
            listSegmentsByEvaluations(trx, organizationId, evaluationIds ?? [], after, limit),
          positionOf: (row) => [row.id],
          toItems: (rows) => describeSegments(trx, organizationId, rows),
        });
        const result = { segments: items, nextPageToken };
        return { result, hasState: evaluationIds !== undefined };
      });
    });
  };
}

/** Undefined if the profile has no stored state. */
async function evaluationIdsOf(
  db: Queryable,
  organizationId: OrganizationId,
  shard: number,
  profileId: ProfileId,
): Promise<EvaluationId[] | undefined> {
  const stored = await loadStates(db, [{ organizationId, shard, profileId }]);
  const state = stored.get(profileKeyText(organizationId, profileId))?.state;
  return state && [...state.memberships.keys()];
}
