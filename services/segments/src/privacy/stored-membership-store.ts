// Reads all rows of `memberships` for one profile, exited ones included.
import { bytesToUuid, type OrganizationId, type ProfileId, type SegmentId, uuidToBytes } from "@muster/core";
import type { Queryable } from "@muster/db";

export interface MembershipRow {
  /** The evaluation of the row. */
  readonly evaluationId: SegmentId;
  readonly member: boolean;
  readonly enteredMs: number;
  readonly changedMs: number;
}

/** Ids in one lookup: with more than a few hundred, MySQL's planner walks the table instead of the key. */
const LOOKUP_CHUNK = 250;

export async function listStoredMemberships(
  db: Queryable,
  organizationId: OrganizationId,
  profileId: ProfileId,
  evaluationIds: readonly SegmentId[],
): Promise<MembershipRow[]> {
  const found: MembershipRow[] = [];
  for (let start = 0; start < evaluationIds.length; start += LOOKUP_CHUNK) {
    const rows: { segment_id: Buffer; member: number; entered_ms: number; changed_ms: number }[] = await db(
      "memberships",
    )
      .select("segment_id", "member", "entered_ms", "changed_ms")
      .where({ organization_id: uuidToBytes(organizationId), profile_id: uuidToBytes(profileId) })
      .whereIn("segment_id", evaluationIds.slice(start, start + LOOKUP_CHUNK).map(uuidToBytes));
    for (const row of rows) {
      found.push({
        evaluationId: bytesToUuid(row.segment_id),
        member: row.member === 1,
        enteredMs: row.entered_ms,
        changedMs: row.changed_ms,
      });
    }
  }
  return found;
}
