// Reads all rows of `memberships` for one profile, exited ones included.
import {
  bytesToUuid,
  type EvaluationId,
  type OrganizationId,
  type ProfileId,
  uuidToBytes,
} from "@muster/core";
import type { Queryable } from "@muster/db";

export interface MembershipRow {
  /** The evaluation of the row. */
  readonly evaluationId: EvaluationId;
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
  evaluationIds: readonly EvaluationId[],
): Promise<MembershipRow[]> {
  const found: MembershipRow[] = [];
  for (let start = 0; start < evaluationIds.length; start += LOOKUP_CHUNK) {
    const rows: { evaluation_id: Buffer; member: number; entered_ms: number; changed_ms: number }[] =
      await db("memberships")
        .select("evaluation_id", "member", "entered_ms", "changed_ms")
        .where({ organization_id: uuidToBytes(organizationId), profile_id: uuidToBytes(profileId) })
        .whereIn("evaluation_id", evaluationIds.slice(start, start + LOOKUP_CHUNK).map(uuidToBytes));
    for (const row of rows) {
      found.push({
        evaluationId: bytesToUuid(row.evaluation_id),
        member: row.member === 1,
        enteredMs: row.entered_ms,
        changedMs: row.changed_ms,
      });
    }
  }
  return found;
}
