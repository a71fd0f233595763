// BatchCheckMemberships: checks many memberships at once. An unknown segment or profile is an error of its
// check alone.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type BatchCheckMembershipsRequest,
  BatchCheckMembershipsResponseSchema,
  type MembershipCheck,
  type MembershipCheckResultSchema,
} from "@muster/contracts/muster/segments/v1/segment_checks_pb";
import type { SegmentService } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import {
  type EvaluationId,
  isUuid,
  type OrganizationId,
  type ProfileId,
  type SegmentId,
  shardOf,
} from "@muster/core";
import type { Queryable } from "@muster/db";
import { AppError } from "@muster/errors";
import { type CallContext, errorToProto, type MethodHandler, onBehalfOf } from "@muster/rpc";
import type { SegmentsDeps } from "../handlers/deps.ts";
import { findMembers } from "../memberships/membership-store.ts";
import { ensureOrganization } from "../organizations/provision-organization.ts";
import { hasProfileRebuilds } from "../profiles/rebuild-store.ts";
import { listBackfillsOfEvaluations } from "../rebuild/backfill-store.ts";
import { SEGMENTS_MAX, type Segment } from "../segment-model/segment.ts";
import { listSegmentsByIds, listSegmentsBySlugs } from "../segment-model/segment-store.ts";

export function batchCheckMemberships(
  deps: SegmentsDeps,
): MethodHandler<typeof SegmentService.method.batchCheckMemberships> {
  return async (request, context) => {
    const { organizationId } = context;
    const db = deps.database.reader;
    await ensureOrganization(deps.database, organizationId, deps.clock.nowMs());
    for (let profileOf = await resolveProfiles(deps, context, request); ; ) {
      const targetsOf = (segments: ReadonlyMap<string, Segment>): CheckTarget[] =>
        request.checks.map((check) => ({
          segment: segments.get(check.segment),
          profileId: profileOf(check),
        }));
      await waitForTargets(deps, context, targetsOf(await resolveSegments(db, organizationId, request)));
      // Read again in one snapshot, because rules may have switched meanwhile, or may switch between two
      // statements.
      const results = await deps.database.snapshot(async (trx) => {
        const targets = targetsOf(await resolveSegments(trx, organizationId, request));
        const entered = await readMembers(trx, organizationId, targets);
        return targets.map((pair) => resultOf(pair, entered));
      });
      const isIn = results.every(({ member, profileId }) => member === true || profileId === undefined);
      if (isIn || context.eventual) return create(BatchCheckMembershipsResponseSchema, { results });
      // A profile without memberships may have been merged while the call waited, with memberships under its
      // new root.
      const currentProfileOf = await resolveProfiles(deps, context, request);
      if (request.checks.every((check) => currentProfileOf(check) === profileOf(check))) {
        return create(BatchCheckMembershipsResponseSchema, { results });
      }
      profileOf = currentProfileOf;
    }
  };
}

interface CheckTarget {
  readonly segment: Segment | undefined;
  readonly profileId: ProfileId | undefined;
}

async function resolveSegments(
  db: Queryable,
  organizationId: OrganizationId,
  { checks }: BatchCheckMembershipsRequest,
): Promise<Map<string, Segment>> {
  // No slug has the form of an id.
  const names = [...new Set(checks.map(({ segment }) => segment))];
  const ids = names.filter(isUuid) as SegmentId[];
  const slugs = names.filter((name) => !isUuid(name));
  const byId = await listSegmentsByIds(db, organizationId, ids, undefined, SEGMENTS_MAX);
  const bySlug = await listSegmentsBySlugs(db, organizationId, slugs);
  return new Map([
    ...byId.map((segment) => [segment.id, segment] as const),
    ...bySlug.map((segment) => [segment.slug, segment] as const),
  ]);
}

async function resolveProfiles(
  { feed }: SegmentsDeps,
  context: CallContext,
  { checks }: BatchCheckMembershipsRequest,
): Promise<(check: MembershipCheck) => ProfileId | undefined> {
  const userIds = new Set<string>();
  const profileIds = new Set<ProfileId>();
  for (const { profile } of checks) {
    if (profile.case === "userId") userIds.add(profile.value);
    else if (profile.case === "profileId" && isUuid(profile.value))
      profileIds.add(profile.value as ProfileId);
  }
  const wanted = { userIds: [...userIds], profileIds: [...profileIds] };
  const { users, profiles } = await feed.resolve(context.organizationId, wanted, onBehalfOf(context));
  return ({ profile }) => {
    if (profile.case === "userId") return users.get(profile.value);
    return profiles.get(profile.value ?? "");
  };
}

/** Waits for the shards of the profiles, and for the backfills of the segments in these shards. */
async function waitForTargets(
  { consistency, database }: SegmentsDeps,
  context: CallContext,
  targets: readonly CheckTarget[],
): Promise<void> {
  const { organizationId } = context;
  const evaluationIds = new Set<EvaluationId>();
  const shards = new Set<number>();
  for (const { segment, profileId } of targets) {
    if (segment === undefined || profileId === undefined) continue;
    evaluationIds.add(segment.evaluationId);
    shards.add(shardOf(organizationId, profileId));
  }
  if (evaluationIds.size === 0) return;
  await consistency.wait(context, {
    organizationId,
    shards: [...shards],
    async hasPendingWork() {
      const backfills = await listBackfillsOfEvaluations(database.reader, organizationId, [...evaluationIds]);
      if (backfills.some(({ shard }) => shards.has(shard))) return true;
      return hasProfileRebuilds(database.reader, organizationId);
    },
  });
}

/** Times of entry, by evaluation. */
type MembersByEvaluation = ReadonlyMap<EvaluationId, ReadonlyMap<ProfileId, number>>;

async function readMembers(
  db: Queryable,
  organizationId: OrganizationId,
  targets: readonly CheckTarget[],
): Promise<MembersByEvaluation> {
  const byEvaluation = new Map<EvaluationId, Set<ProfileId>>();
  for (const { segment, profileId } of targets) {
    if (segment === undefined || profileId === undefined) continue;
    const id = segment.evaluationId;
    byEvaluation.set(id, (byEvaluation.get(id) ?? new Set()).add(profileId));
  }
  const entered = new Map<EvaluationId, Map<ProfileId, number>>();
  for (const [evaluationId, profileIds] of byEvaluation) {
    entered.set(evaluationId, await findMembers(db, organizationId, evaluationId, [...profileIds]));
  }
  return entered;
}

function resultOf(
  { segment, profileId }: CheckTarget,
  entered: MembersByEvaluation,
): MessageInitShape<typeof MembershipCheckResultSchema> {
  const ids = {
    ...(segment !== undefined && { segmentId: segment.id }),
    ...(profileId !== undefined && { profileId }),
  };
  if (segment === undefined) return { ...ids, error: errorToProto(new AppError("SEGMENT_NOT_FOUND")) };
  if (profileId === undefined) return { ...ids, error: errorToProto(new AppError("PROFILE_NOT_FOUND")) };
  const enteredMs = entered.get(segment.evaluationId)?.get(profileId);
  if (enteredMs === undefined) return { ...ids, member: false };
  return { ...ids, member: true, enteredAt: timestampFromMs(enteredMs) };
}
