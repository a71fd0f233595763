// Handles ExplainMembership: whether and why a profile is in a segment, when the result changes without an
// event, and which steps are missing.

import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import type { Profile } from "@muster/contracts/muster/events/v1/profile_pb";
import type { ExplainMembershipResponseSchema } from "@muster/contracts/muster/segments/v1/segment_explain_pb";
import type { SegmentService } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import {
  assert,
  type EvaluationId,
  type OrganizationId,
  type ProfileId,
  type SegmentId,
  shardOf,
} from "@muster/core";
import type { Queryable } from "@muster/db";
import { AppError } from "@muster/errors";
import type { MethodHandler } from "@muster/rpc";
import { evaluate } from "../engine/evaluation/evaluate.ts";
import { factsOfLeaf, traitKeyOf } from "../engine/facts/fact-spec.ts";
import { type Leaf, segmentsIn } from "../engine/rule/rule.ts";
import { applyDueEvents } from "../engine/state/apply-events.ts";
import { Definitions } from "../engine/state/definitions.ts";
import { completeSinceOf } from "../engine/state/merge-retained-facts.ts";
import { emptyState, type ProfileState, viewOf } from "../engine/state/profile-state.ts";
import type { SegmentsDeps } from "../handlers/deps.ts";
import { readRootProfile } from "../membership-queries/read-root-profile.ts";
import { profileKeyText } from "../profiles/profile-key.ts";
import { loadStates } from "../profiles/state-store.ts";
import { readFactHorizons } from "../rebuild/fact-horizon-store.ts";
import { isProfilePending } from "../rebuild/profile-pending.ts";
import { mapSegmentIds } from "../rules/map-segment-ids.ts";
import { firstEvaluationId, SEGMENTS_MAX, type Segment } from "../segment-model/segment.ts";
import { listSegmentsByIds } from "../segment-model/segment-store.ts";
import { findSegment } from "../segments/find-segment.ts";
import { explainNode } from "./explained-node.ts";
import { missingSteps } from "./missing-steps.ts";
import { nextChangeOf } from "./next-change.ts";

type ResponseInit = MessageInitShape<typeof ExplainMembershipResponseSchema>;

export function explainMembership(
  deps: SegmentsDeps,
): MethodHandler<typeof SegmentService.method.explainMembership> {
  return async (request, context) => {
    const { organizationId } = context;
    const segment = await findSegment(deps, organizationId, request.segmentId);
    const db = deps.database.reader;
    return readRootProfile(deps, context, request.profileId, async (profile) => {
      const profileId = profile.id as ProfileId;
      const shard = shardOf(organizationId, profileId);
      await deps.consistency.wait(context, {
        organizationId,
        shards: [shard],
        hasPendingWork: () => isProfilePending(db, organizationId, shard, profileId),
      });
      return deps.database.snapshot(async (trx) => {
        // Segments are read again, because another rule may have become active meanwhile.
        const segments = await readWithReferenced(trx, organizationId, segment.id);
        const stored = await loadStates(trx, [{ organizationId, shard, profileId }]);
        const kept = stored.get(profileKeyText(organizationId, profileId))?.state;
        const state = kept ?? emptyState();
        const definitions = definitionsBySlug(segments);
        const keys = [...definitions.facts].map(({ spec }) => spec.key);
        const horizons = await readFactHorizons(trx, organizationId, keys);
        const nowMs = deps.clock.nowMs();
        const result = explain({ segments, definitions, state, horizons, profile, nowMs });
        return { result, hasState: kept !== undefined };
      });
    });
  };
}

/** The segment, followed by the segments that its rule refers to, directly or through others. */
async function readWithReferenced(
  db: Queryable,
  organizationId: OrganizationId,
  segmentId: SegmentId,
): Promise<Segment[]> {
  const found = new Map<SegmentId, Segment>();
  for (let ids = [segmentId]; ids.length > 0; ) {
    const segments = await listSegmentsByIds(db, organizationId, ids, undefined, SEGMENTS_MAX);
    for (const segment of segments) found.set(segment.id, segment);
    ids = [...new Set(segments.flatMap(({ rule }) => segmentsIn(rule)))].filter((id) => !found.has(id));
  }
  return [...found.values()];
}

interface ExplainInput {
  readonly segments: readonly Segment[];
  readonly definitions: Definitions;
  readonly state: ProfileState;
  /**
   * Facts that were first counted after retention had removed raw events, with the instant since when they
   * are complete.
   */
  readonly horizons: ReadonlyMap<string, number>;
  readonly profile: Profile;
  readonly nowMs: number;
}

function explain({ segments, definitions, state, horizons, profile, nowMs }: ExplainInput): ResponseInit {
  const [segment] = segments;
  if (segment === undefined) throw new AppError("SEGMENT_NOT_FOUND");
  const rule = definitions.segments.get(segment.slug as EvaluationId)?.rule;
  assert(rule !== undefined, "a segment is among its definitions");
  applyDueEvents(state, definitions, nowMs, new Set());
  // The state has a creation time only for rules that depend on every profile.
  state.createMs ??= profile.createTime === undefined ? undefined : timestampMs(profile.createTime);

  const view = viewOf(state, definitions.ruleOf);
  const evaluation = evaluate(rule, view, nowMs);
  const limited = new Set([...definitions.segmentsReading(state.unknownKeys)].map(({ id }) => id));
  const tree = explainNode(rule, evaluation, view, {
    nowMs,
    shownSegments: new Set(),
    completeSinceOf: (key) => completeSinceOf(state, key, horizons.get(key) ?? 0),
    isUnknown: (leaf) =>
      leaf.kind === "in_segment" ? limited.has(leaf.segmentId) : readsUnknown(leaf, state.unknownKeys),
  });
  const enteredMs = state.memberships.get(segment.evaluationId);
  if (limited.has(segment.slug as EvaluationId)) {
    const member = enteredMs !== undefined;
    const since = enteredMs !== undefined && { since: timestampFromMs(enteredMs) };
    return { member, ...since, evaluatedAt: timestampFromMs(nowMs), tree: { ...tree, holds: member } };
  }
  const next = nextChangeOf({ rule, evaluation, state, definitions });
  return {
    member: evaluation.member,
    ...(evaluation.member && enteredMs !== undefined && { since: timestampFromMs(enteredMs) }),
    evaluatedAt: timestampFromMs(nowMs),
    ...(next !== undefined && { nextChangeAt: timestampFromMs(next.atMs), nextChangeReason: next.reason }),
    tree,
    missing: missingSteps(rule, evaluation, view),
  };
}

function readsUnknown(leaf: Leaf<string>, unknownKeys: ReadonlySet<string>): boolean {
  if (leaf.kind === "trait") return unknownKeys.has(traitKeyOf(leaf.where));
  return factsOfLeaf(leaf).some(({ key }) => unknownKeys.has(key));
}

/** Rules refer to segments by slug, for readable descriptions. Fact keys do not depend on segment ids. */
function definitionsBySlug(segments: readonly Segment[]): Definitions {
  const slugs = new Map(segments.map(({ id, slug }) => [id, slug as EvaluationId]));
  const named = segments.map(({ slug, rule }) => ({
    id: slug as EvaluationId,
    rule: mapSegmentIds(rule, (id) => slugs.get(id) ?? firstEvaluationId(id)),
  }));
  return new Definitions(0, named);
}
