// Converts segments to their proto, with member counts and backfill progress.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type SegmentSchema, SegmentState } from "@muster/contracts/muster/segments/v1/segment_pb";
import { type EvaluationId, type OrganizationId, SHARD_COUNT } from "@muster/core";
import type { Queryable } from "@muster/db";
import { type EvaluationCounts, readCounts } from "../memberships/segment-count-store.ts";
import { ALL_EVALUATIONS, listBackfillsOfEvaluations } from "../rebuild/backfill-store.ts";
import { savedRule, savedVersion } from "../rule-versions/evaluations.ts";
import { ruleToProto } from "../rules/rule-to-proto.ts";
import type { Segment } from "../segment-model/segment.ts";

type SegmentInit = MessageInitShape<typeof SegmentSchema>;

/** Returns segments of one organization, in the given order. */
export async function describeSegments(
  db: Queryable,
  organizationId: OrganizationId,
  segments: readonly Segment[],
): Promise<SegmentInit[]> {
  if (segments.length === 0) return [];
  const ids = segments.flatMap(({ evaluationId, pending }) =>
    pending === undefined ? [evaluationId] : [evaluationId, pending.evaluationId],
  );
  const counts = await readCounts(db, organizationId, ids);
  const unfinished = new Map<EvaluationId, Set<number>>();
  for (const { evaluationId, shard } of await listBackfillsOfEvaluations(db, organizationId, ids)) {
    for (const id of evaluationId === ALL_EVALUATIONS ? ids : [evaluationId]) {
      unfinished.set(id, (unfinished.get(id) ?? new Set()).add(shard));
    }
  }
  const shardsLeft = (evaluationId: EvaluationId): number => unfinished.get(evaluationId)?.size ?? 0;
  return segments.map((segment) =>
    segmentToProto(segment, counts.get(segment.evaluationId) ?? NO_COUNTS, shardsLeft),
  );
}

export const NO_COUNTS: EvaluationCounts = { members: 0, limited: 0 };

/** `shardsLeft` returns the number of shards with an unfinished backfill. */
export function segmentToProto(
  segment: Segment,
  { members, limited }: EvaluationCounts,
  shardsLeft: (evaluationId: EvaluationId) => number,
): SegmentInit {
  const { evaluationId, pending } = segment;
  const isServing = shardsLeft(evaluationId) === 0;
  const counted = isServing && pending !== undefined ? pending.evaluationId : evaluationId;
  return {
    id: segment.id,
    slug: segment.slug,
    name: segment.name,
    rule: ruleToProto(savedRule(segment)),
    state: stateOf({ isServing, isPending: pending !== undefined, isLimited: limited > 0 }),
    progress: 1 - shardsLeft(counted) / SHARD_COUNT,
    memberCount: BigInt(members),
    version: savedVersion(segment),
    createTime: timestampFromMs(segment.createMs),
    updateTime: timestampFromMs(segment.updateMs),
  };
}

function stateOf(segment: {
  readonly isServing: boolean;
  readonly isPending: boolean;
  readonly isLimited: boolean;
}): SegmentState {
  if (!segment.isServing) return SegmentState.BACKFILLING;
  if (segment.isPending) return SegmentState.UPDATING;
  return segment.isLimited ? SegmentState.LIMITED : SegmentState.LIVE;
}
