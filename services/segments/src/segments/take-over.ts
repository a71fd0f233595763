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
import { beginTelling, listTold } from "./telling-store.ts";

/**
 * Lets pending rules take over whose past is counted; to be called when a backfill has ended, when everybody has
 * been told of the take-over before, or when a segment that others waited for has changed or gone.
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
  const waiting = new Set(unfinished.map(({ segmentId }) => segmentId));
  // One after the other: what is told by a walk is the difference between two rules.
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
  // Who is in by the past of a rule that nobody could read yet is in by the past.
  const tellsEntries = unfinished.length === 0 || segment.announceBackfill;
  const telling = { heirId: pending.evaluationId, tellsEntries };
  await beginTelling(trx, organizationId, { segmentId, replacedId }, telling);
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
