// ListMemberships: returns the stored memberships of a profile, including exited rows that still exist. The
// read waits for all events acknowledged before the call.

import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  SegmentPrivacyService,
  StoredMembershipSchema,
} from "@muster/contracts/muster/segments/v1/segment_privacy_service_pb";
import { bytesToUuid, type OrganizationId, type ProfileId, shardOf, uuidToBytes } from "@muster/core";
import type { UnaryHandler } from "@muster/rpc";
import type { SegmentsDeps } from "../handlers/deps.ts";
import { listStoredMemberships } from "../memberships/membership-store.ts";
import { ensureOrganization } from "../organizations/provision-organization.ts";
import { isProfilePending } from "../rebuild/profile-pending.ts";
import { listSegmentsOf } from "../segment-model/segment-store.ts";

export function listMemberships(
  deps: SegmentsDeps,
): UnaryHandler<typeof SegmentPrivacyService.method.listMemberships> {
  return async (request, context) => {
    const organizationId = bytesToUuid<OrganizationId>(request.organizationId);
    const root = bytesToUuid<ProfileId>(request.profileId);
    const profileIds = [root, ...request.mergedProfileIds.map((id) => bytesToUuid<ProfileId>(id))];
    await ensureOrganization(deps.database, organizationId, deps.clock.nowMs());
    const shard = shardOf(organizationId, root);
    await deps.consistency.wait(context, {
      organizationId,
      shards: [...new Set(profileIds.map((id) => shardOf(organizationId, id)))],
      hasPendingWork: () => isProfilePending(deps.database.reader, organizationId, shard, root),
    });
    return { memberships: await readStoredMemberships(deps, organizationId, profileIds) };
  };
}

/** Leaves out rows of replaced and pending rules, which do not serve reads. */
async function readStoredMemberships(
  { database }: SegmentsDeps,
  organizationId: OrganizationId,
  profileIds: readonly ProfileId[],
): Promise<MessageInitShape<typeof StoredMembershipSchema>[]> {
  return database.snapshot(async (trx) => {
    const segments = (await listSegmentsOf(trx, [organizationId])).sort((a, b) => (a.id < b.id ? -1 : 1));
    const evaluationIds = segments.map(({ evaluationId }) => evaluationId);
    const stored: MessageInitShape<typeof StoredMembershipSchema>[] = [];
    for (const profileId of profileIds) {
      const rows = await listStoredMemberships(trx, organizationId, profileId, evaluationIds);
      const byEvaluation = new Map(rows.map((row) => [row.evaluationId, row]));
      for (const { id, slug, evaluationId } of segments) {
        const row = byEvaluation.get(evaluationId);
        if (row === undefined) continue;
        stored.push({
          profileId: uuidToBytes(profileId),
          segmentId: id,
          segmentSlug: slug,
          member: row.member,
          enteredMs: BigInt(row.enteredMs),
          changedMs: BigInt(row.changedMs),
        });
      }
    }
    return stored;
  });
}
