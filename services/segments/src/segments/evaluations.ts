// Which rules are evaluated, and when one takes over from another. It reads and writes nothing.
//
// Each rule that was ever saved is evaluated under an id of its own: memberships, counts and backfills are
// kept by it. One evaluation of a segment serves; a changed rule is evaluated beside it, pending, and takes
// over at once when its past is counted. Rules name segments; evaluations name evaluations.
import type { SegmentId } from "@muster/core";
import type { SegmentDefinition } from "../engine/definitions.ts";
import { type Rule, segmentsIn } from "../engine/rule.ts";
import { mapSegments } from "./map-segments.ts";
import type { Segment } from "./segment.ts";

/**
 * Everything that is to be evaluated.
 * Invariant: what an evaluation's id stands for never changes. While a segment is pending all that name it
 * are, they are made anew with it, and they take over together: see {@link staleBy} and {@link finishedGroups}.
 */
export function definitionsOf(segments: readonly Segment[]): SegmentDefinition[] {
  const serving = new Map(segments.map(({ id, evaluationId }) => [id, evaluationId]));
  const next = new Map(
    segments.map(({ id, evaluationId, pending }) => [id, pending?.evaluationId ?? evaluationId]),
  );
  return segments.flatMap((segment) => {
    const { evaluationId, rule, pending } = segment;
    const definitions = [{ id: evaluationId, rule: mapSegments(rule, (id) => serving.get(id) ?? id) }];
    if (pending === undefined) return definitions;
    const rulePending = mapSegments(pending.rule, (id) => next.get(id) ?? id);
    return [...definitions, { id: pending.evaluationId, rule: rulePending, succeeds: evaluationId }];
  });
}

/** The rule as it was saved last, whether it serves yet or not. */
export function savedRule({ rule, pending }: Segment): Rule {
  return pending?.rule ?? rule;
}

export function savedVersion({ version, pending }: Segment): number {
  return pending?.version ?? version;
}

/** The segments whose saved rules read this one's, directly or through others: what is pending of them no longer holds. */
export function staleBy(segments: readonly Segment[], changedId: SegmentId): Segment[] {
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

/** The segments whose rules, serving or saved, name this one themselves. */
export function usersOf(segments: readonly Segment[], id: SegmentId): Segment[] {
  return segments.filter((segment) => segment.id !== id && namesOf(segment).has(id));
}

/** The way from the segment by its saved rule and those of others back to itself; undefined if there is none. */
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

/** The pending segments of which all take over now: their past is counted, and that of all that they are linked with. */
export function finishedGroups(segments: readonly Segment[], unfinished: ReadonlySet<SegmentId>): Segment[] {
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

/** Segments of which one names the other, now or next, belong together. */
function linkedGroups(segments: readonly Segment[]): Segment[][] {
  const linked = new Map(segments.map(({ id }) => [id, new Set<SegmentId>()]));
  for (const segment of segments) {
    for (const named of namesOf(segment)) {
      linked.get(named)?.add(segment.id);
      if (linked.has(named)) linked.get(segment.id)?.add(named);
    }
  }
  const groups: Segment[][] = [];
  const seen = new Set<SegmentId>();
  for (const { id } of segments) {
    if (seen.has(id)) continue;
    const group = new Set([id]);
    // A set grows while it is walked.
    for (const one of group) for (const other of linked.get(one) ?? []) group.add(other);
    for (const one of group) seen.add(one);
    groups.push(segments.filter((segment) => group.has(segment.id)));
  }
  return groups;
}

function namesOf({ rule, pending }: Segment): Set<SegmentId> {
  return new Set([...segmentsIn(rule), ...(pending === undefined ? [] : segmentsIn(pending.rule))]);
}
