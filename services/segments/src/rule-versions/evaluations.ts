// Decides which rules are evaluated, and when a pending rule replaces the current one. Reads and writes
// nothing.
// Each saved rule has an evaluation. The evaluation id is the key of memberships, counts and backfills. A
// segment has a serving evaluation, which decides its members. After a change of the rule, the segment also
// has a pending evaluation, which replaces the serving evaluation when the backfill is done. Rules reference
// segments; evaluations reference evaluations.
import type { EvaluationId, SegmentId } from "@muster/core";
import { type EvaluatedRule, type Rule, segmentsIn } from "../engine/rule/rule.ts";
import type { SegmentDefinition } from "../engine/state/definitions.ts";
import { mapSegmentIds } from "../rules/map-segment-ids.ts";
import { firstEvaluationId, type Segment } from "../segment-model/segment.ts";

/**
 * Lists everything to evaluate.
 * Invariant: the meaning of an evaluation id never changes. While a segment is pending, all segments that
 * reference it are pending too. All get new evaluations and switch together. See {@link transitiveDependentsOf} and {@link
 * readyToSwitch}.
 */
export function definitionsOf(segments: readonly Segment[]): SegmentDefinition[] {
  const serving = servingEvaluations(segments);
  const next = new Map(
    segments.map(({ id, evaluationId, pending }) => [id, pending?.evaluationId ?? evaluationId]),
  );
  return segments.flatMap((segment) => {
    const { evaluationId, rule, pending } = segment;
    const definitions = [{ id: evaluationId, rule: evaluatedRule(rule, serving) }];
    if (pending === undefined) return definitions;
    const rulePending = evaluatedRule(pending.rule, next);
    return [...definitions, { id: pending.evaluationId, rule: rulePending, predecessorId: evaluationId }];
  });
}

/** Lists the evaluations that serve reads. */
export function servingDefinitionsOf(segments: readonly Segment[]): SegmentDefinition[] {
  const serving = servingEvaluations(segments);
  return segments.map(({ evaluationId, rule }) => ({ id: evaluationId, rule: evaluatedRule(rule, serving) }));
}

/** Returns a rule that reads the serving evaluations of the segments it refers to. */
export function readingServed(rule: Rule, segments: readonly Segment[]): EvaluatedRule {
  return evaluatedRule(rule, servingEvaluations(segments));
}

function servingEvaluations(segments: readonly Segment[]): Map<SegmentId, EvaluationId> {
  return new Map(segments.map(({ id, evaluationId }) => [id, evaluationId]));
}

/** A segment without an entry keeps its own id, which no other evaluation has. */
function evaluatedRule(rule: Rule, evaluations: ReadonlyMap<SegmentId, EvaluationId>): EvaluatedRule {
  return mapSegmentIds(rule, (id) => evaluations.get(id) ?? firstEvaluationId(id));
}

/** Returns the rule that was saved last, whether it serves reads yet or not. */
export function savedRule({ rule, pending }: Segment): Rule {
  return pending?.rule ?? rule;
}

export function savedVersion({ version, pending }: Segment): number {
  return pending?.version ?? version;
}

/**
 * Lists the segments with saved rules that depend on this segment, directly or through others. A change of
 * this segment makes their pending evaluations outdated.
 */
export function transitiveDependentsOf(segments: readonly Segment[], changedId: SegmentId): Segment[] {
  const stale = new Set<SegmentId>([changedId]);
  for (let before = 0; before < stale.size; ) {
    before = stale.size;
    for (const segment of segments) {
      if (segmentsIn(savedRule(segment)).some((id) => stale.has(id))) stale.add(segment.id);
    }
  }
  stale.delete(changedId);
  return segments.filter(({ id }) => stale.has(id));
}

/** Lists the segments with current or saved rules that reference this segment directly. */
export function dependentsOf(segments: readonly Segment[], id: SegmentId): Segment[] {
  return segments.filter((segment) => segment.id !== id && referencedIds(segment).has(id));
}

/** Finds a path from the segment through saved rules back to the segment; undefined if there is no cycle. */
export function findCycle(segments: readonly Segment[], id: SegmentId): Segment[] | undefined {
  const byId = new Map(segments.map((segment) => [segment.id, segment]));
  const seen = new Set<SegmentId>();
  const walk = (segment: Segment, path: readonly Segment[]): Segment[] | undefined => {
    for (const namedId of segmentsIn(savedRule(segment))) {
      const named = byId.get(namedId);
      if (named === undefined) continue;
      if (namedId === id) return [...path, segment, named];
      if (seen.has(namedId)) continue;
      seen.add(namedId);
      const found = walk(named, [...path, segment]);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  const start = byId.get(id);
  return start && walk(start, []);
}

/**
 * Lists the pending segments that can switch now: their backfills and the backfills of all linked segments
 * are done.
 */
export function readyToSwitch(
  segments: readonly Segment[],
  unfinished: ReadonlySet<EvaluationId>,
): Segment[] {
  const pending = segments.filter((segment) => segment.pending !== undefined);
  const finished: Segment[] = [];
  for (const group of linkedGroups(pending)) {
    const isFinished = group.every(
      ({ pending }) => pending !== undefined && !unfinished.has(pending.evaluationId),
    );
    if (isFinished) finished.push(...group);
  }
  return finished;
}

/** Groups segments that are linked by references, in current or pending rules. */
function linkedGroups(segments: readonly Segment[]): Segment[][] {
  const linked = new Map(segments.map(({ id }) => [id, new Set<SegmentId>()]));
  for (const segment of segments) {
    for (const named of referencedIds(segment)) {
      linked.get(named)?.add(segment.id);
      if (linked.has(named)) linked.get(segment.id)?.add(named);
    }
  }
  const groups: Segment[][] = [];
  const seen = new Set<SegmentId>();
  for (const { id } of segments) {
    if (seen.has(id)) continue;
    const group = new Set([id]);
    // Iterating a set also visits elements that are added meanwhile.
    for (const one of group) for (const other of linked.get(one) ?? []) group.add(other);
    for (const one of group) seen.add(one);
    groups.push(segments.filter((segment) => group.has(segment.id)));
  }
  return groups;
}

function referencedIds({ rule, pending }: Segment): Set<SegmentId> {
  return new Set([...segmentsIn(rule), ...(pending === undefined ? [] : segmentsIn(pending.rule))]);
}
