// Switches segments to their pending rules.
import type { OrganizationId, SegmentId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { deleteBackfills, listBackfillsOf } from "../backfills/backfill-store.ts";
import { addPurges } from "../backfills/purge-store.ts";
import type { Announcer } from "../changes/announcer.ts";
import { finishedGroups } from "./evaluations.ts";
import { definitionsChanged } from "./organization-store.ts";
import type { Segment } from "./segment.ts";
import { listSegmentsOf, updateSegmentRow } from "./segment-store.ts";
import { beginTelling, listTold } from "./telling-store.ts";

/**
 * Switches all segments with pending rules that are ready. Called when a backfill ends, when an earlier rule
 * switch is fully published, and when a segment that others waited for changes or is deleted.
 * Invariant: the organization is locked. If two transactions end the last backfills at once, the second
 * transaction reads both as ended. Membership rows do not move: one column of the segment's row selects the
 * serving evaluation.
 */
export async function takeOver(
  trx: Transaction,
  organizationId: OrganizationId,
  announcer: Announcer,
): Promise<void> {
  const segments = await listSegmentsOf(trx, [organizationId]);
  const pendingIds = segments.flatMap(({ pending }) => (pending === undefined ? [] : [pending.evaluationId]));
  if (pendingIds.length === 0) return;
  const unfinished = await listBackfillsOf(trx, organizationId, pendingIds);
  const waiting = new Set(unfinished.map(({ segmentId }) => segmentId));
  // Switches are serialized, because a walk publishes the difference between two rules.
  const told = await listTold(trx, organizationId);
  for (const { id, pending } of segments) if (told.has(id) && pending) waiting.add(pending.evaluationId);
  const finished = finishedGroups(segments, waiting);
  if (finished.length === 0) return;
  await announcer.holdAll(trx);
  for (const segment of finished) await switchRule(trx, segment);
  await definitionsChanged(trx, organizationId);
  for (const { id, pending } of finished) {
    if (pending !== undefined) await announcer.announceReplaced(trx, organizationId, id, pending.version);
  }
}

async function switchRule(trx: Transaction, segment: Segment): Promise<void> {
  const { organizationId, id: segmentId, evaluationId: replacedId, pending } = segment;
  if (pending === undefined) return;
  await updateSegmentRow(trx, { ...segment, ...pending, pending: undefined });
  const unfinished = await listBackfillsOf(trx, organizationId, [replacedId]);
  await deleteBackfills(trx, organizationId, replacedId);
  // If the replaced version never served reads, its members count as backfilled.
  const tellsEntries = unfinished.length === 0 || segment.announceBackfill;
  const telling = { heirId: pending.evaluationId, tellsEntries };
  await beginTelling(trx, organizationId, { segmentId, replacedId }, telling);
}

/** Ends an evaluation without readers. The owners of the shards delete its data later. */
export async function dropEvaluation(
  trx: Transaction,
  organizationId: OrganizationId,
  evaluationId: SegmentId,
): Promise<void> {
  await deleteBackfills(trx, organizationId, evaluationId);
  await addPurges(trx, organizationId, evaluationId);
}
