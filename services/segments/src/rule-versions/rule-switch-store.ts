// Holds every statement against `segments.previous_evaluation_id`: the previous evaluation of a segment, until the changes
// of its rule switch are published.
import {
  bytesToUuid,
  type EvaluationId,
  type OrganizationId,
  type SegmentId,
  uuidToBytes,
} from "@muster/core";
import type { Queryable, Transaction } from "@muster/db";
import { addPurges, listPurgesOf, type RuleSwitch } from "./purge-store.ts";

/** The caller holds the organization's lock and all outbox positions: see Announcer. */
export async function beginRuleSwitch(
  trx: Transaction,
  organizationId: OrganizationId,
  of: { readonly segmentId: SegmentId; readonly replacedId: EvaluationId },
  ruleSwitch: RuleSwitch,
): Promise<void> {
  await trx("segments")
    .where({ organization_id: uuidToBytes(organizationId), segment_id: uuidToBytes(of.segmentId) })
    .update({ previous_evaluation_id: uuidToBytes(of.replacedId) });
  await addPurges(trx, organizationId, of.replacedId, ruleSwitch);
}

/**
 * Ends one shard's part of a rule switch. Returns true for the last shard. The caller holds the
 * organization's lock.
 */
export async function endRuleSwitch(
  trx: Transaction,
  organizationId: OrganizationId,
  replacedId: EvaluationId,
): Promise<boolean> {
  if ((await listPurgesOf(trx, organizationId, replacedId)).length > 0) return false;
  await trx("segments")
    .where({ organization_id: uuidToBytes(organizationId), previous_evaluation_id: uuidToBytes(replacedId) })
    .update({ previous_evaluation_id: null });
  return true;
}

/** Lists the segments with a rule switch in progress. */
export async function listSwitchingSegments(
  db: Queryable,
  organizationId: OrganizationId,
): Promise<Set<SegmentId>> {
  const rows = await db("segments")
    .select<{ segment_id: Buffer }[]>("segment_id")
    .where("organization_id", uuidToBytes(organizationId))
    .whereNotNull("previous_evaluation_id");
  return new Set(rows.map((row) => bytesToUuid<SegmentId>(row.segment_id)));
}
