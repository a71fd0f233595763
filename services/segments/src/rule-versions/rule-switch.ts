// Switches segments to their pending rules.
import type { EvaluationId, OrganizationId } from "@muster/core";
import type { Transaction } from "@muster/db";
import type { Announcer } from "../announcements/announcer.ts";
import { incrementDefinitionsVersion } from "../organizations/organization-store.ts";
import { deleteBackfills, listBackfillsOfEvaluations } from "../rebuild/backfill-store.ts";
import type { Segment } from "../segment-model/segment.ts";
import {
  clearPreviousEvaluation,
  listSegmentsOf,
  listSwitchingSegments,
  savePreviousEvaluation,
  updateSegmentRow,
} from "../segment-model/segment-store.ts";
import { readyToSwitch } from "./evaluations.ts";
import { addPurges, listPurgesOf } from "./purge-store.ts";

/**
 * Switches all segments with pending rules that are ready. Called when a backfill ends, when an earlier rule
 * switch is fully published, and when a segment that others waited for changes or is deleted.
 * Invariant: the organization is locked. If two transactions end the last backfills at once, the second
 * transaction reads both as ended. Membership rows do not move: one column of the segment's row selects the
 * serving evaluation.
 */
export async function switchFinishedRules(
  trx: Transaction,
  organizationId: OrganizationId,
  announcer: Announcer,
): Promise<void> {
  const segments = await listSegmentsOf(trx, [organizationId]);
  const pendingIds = segments.flatMap(({ pending }) => (pending === undefined ? [] : [pending.evaluationId]));
  if (pendingIds.length === 0) return;
  const unfinished = await listBackfillsOfEvaluations(trx, organizationId, pendingIds);
  const waiting = new Set(unfinished.map(({ evaluationId }) => evaluationId));
  // Switches are serialized, because a walk publishes the difference between two rules.
  const switching = await listSwitchingSegments(trx, organizationId);
  for (const { id, pending } of segments) if (switching.has(id) && pending) waiting.add(pending.evaluationId);
  const finished = readyToSwitch(segments, waiting);
  if (finished.length === 0) return;
  await announcer.lockAllPositions(trx);
  for (const segment of finished) await switchRule(trx, segment);
  await incrementDefinitionsVersion(trx, organizationId);
  for (const { id, pending } of finished) {
    if (pending !== undefined) await announcer.announceReplaced(trx, organizationId, id, pending.version);
  }
}

async function switchRule(trx: Transaction, segment: Segment): Promise<void> {
  const { organizationId, id: segmentId, evaluationId: replacedId, pending } = segment;
  if (pending === undefined) return;
  await updateSegmentRow(trx, { ...segment, ...pending, pending: undefined });
  const unfinished = await listBackfillsOfEvaluations(trx, organizationId, [replacedId]);
  await deleteBackfills(trx, organizationId, replacedId);
  // If the replaced version never served reads, its members count as backfilled.
  const publishesEntries = unfinished.length === 0 || segment.announceBackfill;
  await savePreviousEvaluation(trx, organizationId, segmentId, replacedId);
  const ruleSwitch = { successorId: pending.evaluationId, publishesEntries };
  await addPurges(trx, organizationId, replacedId, ruleSwitch);
}

/**
 * Ends a rule switch after its last shard, and switches rules that waited for it. The caller holds the
 * organization's lock and has ended the switch in a shard.
 */
export async function endRuleSwitch(
  trx: Transaction,
  organizationId: OrganizationId,
  replacedId: EvaluationId,
  announcer: Announcer,
): Promise<void> {
  if ((await listPurgesOf(trx, organizationId, replacedId)).length > 0) return;
  await clearPreviousEvaluation(trx, organizationId, replacedId);
  await switchFinishedRules(trx, organizationId, announcer);
}

/** Ends an evaluation without readers. The owners of the shards delete its data later. */
export async function dropEvaluation(
  trx: Transaction,
  organizationId: OrganizationId,
  evaluationId: EvaluationId,
): Promise<void> {
  await deleteBackfills(trx, organizationId, evaluationId);
  await addPurges(trx, organizationId, evaluationId);
}
