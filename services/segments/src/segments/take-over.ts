// The moment at which a changed rule begins to say who is a member.
import type { OrganizationId, SegmentId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { deleteBackfills, listBackfillsOf } from "../backfills/backfill-store.ts";
import { addPurges } from "../backfills/purge-store.ts";
import type { Announcer } from "../changes/announcer.ts";
import { finishedGroups } from "./evaluations.ts";
import { definitionsChanged } from "./organization-store.ts";
import type { Segment } from "./segment.ts";
import { listSegmentsOf, updateSegmentRow } from "./segment-store.ts";

/**
 * Lets pending rules take over whose past is counted; to be called when a backfill has ended, or when a
 * segment that others waited for has changed or gone.
 * Invariant: the organisation is locked, so of two that end their last backfills at once the second sees
 * both ended. Rows of members do not move: which of them answer is one column of the segment's row.
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
  const finished = finishedGroups(segments, new Set(unfinished.map(({ segmentId }) => segmentId)));
  if (finished.length === 0) return;
  await announcer.holdAll(trx);
  for (const segment of finished) await switchRule(trx, segment);
  await definitionsChanged(trx, organizationId);
  for (const { id, pending } of finished) {
    if (pending !== undefined) await announcer.announceReplaced(trx, organizationId, id, pending.version);
  }
}

async function switchRule(trx: Transaction, segment: Segment): Promise<void> {
  if (segment.pending === undefined) return;
  await updateSegmentRow(trx, { ...segment, ...segment.pending, pending: undefined });
  await dropEvaluation(trx, segment.organizationId, segment.evaluationId);
}

/** Nobody reads it any more; its owners clear away what it kept. */
export async function dropEvaluation(
  trx: Transaction,
  organizationId: OrganizationId,
  evaluationId: SegmentId,
): Promise<void> {
  await deleteBackfills(trx, organizationId, evaluationId);
  await addPurges(trx, organizationId, evaluationId);
}
