// Computes how the segments of an organization change when one segment gets a new rule. Reads and writes
// nothing.
import type { EvaluationId } from "@muster/core";
import { AppError } from "@muster/errors";
import { type Rule, segmentsIn } from "../engine/rule/rule.ts";
import { ORGANIZATION_UNITS_MAX, worstCaseUnitsOf } from "../engine/rule/rule-limits.ts";
import { Definitions } from "../engine/state/definitions.ts";
import { INSTANTS_MAX, type Segment } from "../segment-model/segment.ts";
import { definitionsOf, savedRule, savedVersion, transitiveDependentsOf } from "./evaluations.ts";
import { rejectCycle } from "./segment-references.ts";

export interface RuleChange {
  /** All segments of the organization, after the change. */
  readonly segments: readonly Segment[];
  /** The segments with a new pending rule. */
  readonly pending: readonly (Segment & { readonly pending: NonNullable<Segment["pending"]> })[];
  /** Evaluations that are no longer needed. */
  readonly dropped: readonly EvaluationId[];
}

/** Throws FIELD_INVALID at `path` if the rule refers back to the segment. */
export function changeRule(
  segments: readonly Segment[],
  changed: Segment,
  rule: Rule,
  path: string,
  nextId: () => EvaluationId,
): RuleChange {
  const edited = {
    ...changed,
    pending: { evaluationId: nextId(), rule, version: savedVersion(changed) + 1 },
  };
  const withRule = segments.map((segment) => (segment.id === changed.id ? edited : segment));
  rejectCycle(withRule, changed.id, path);
  // Dependent segments are evaluated again as well, and switch together with this one.
  const stale = transitiveDependentsOf(withRule, changed.id);
  const restarted = stale.map((segment) => ({
    ...segment,
    pending: { evaluationId: nextId(), rule: savedRule(segment), version: savedVersion(segment) },
  }));
  const pending = [edited, ...restarted];
  const byId = new Map(pending.map((segment) => [segment.id, segment]));
  const dropped = [changed, ...stale].flatMap((one) => one.pending?.evaluationId ?? []);
  return { segments: segments.map((segment) => byId.get(segment.id) ?? segment), pending, dropped };
}

/**
 * Adds a pending rule to a new segment that references a pending segment, because both have to switch
 * together.
 */
export function withPending(
  segments: readonly Segment[],
  added: Segment,
  nextId: () => EvaluationId,
): Segment {
  const named = new Set(segmentsIn(added.rule));
  const isLinked = segments.some(({ id, pending }) => pending !== undefined && named.has(id));
  if (!isLinked) return added;
  return { ...added, pending: { evaluationId: nextId(), rule: added.rule, version: added.version } };
}

/**
 * Throws SEGMENT_LIMIT_REACHED if the rules together would let a profile's row grow beyond its bounds, or could
 * take too long on one event.
 */
export function rejectExceededLimits(segments: readonly Segment[]): void {
  const definitions = definitionsOf(segments);
  if (new Definitions(0, definitions).instantsMax > INSTANTS_MAX) {
    throw new AppError("SEGMENT_LIMIT_REACHED", {
      message: "The windowed counts of the organization's segments are too large together.",
      details: { limit: String(INSTANTS_MAX) },
    });
  }
  if (worstCaseUnitsOf(definitions.map(({ rule }) => rule)) > ORGANIZATION_UNITS_MAX) {
    throw new AppError("SEGMENT_LIMIT_REACHED", {
      message: "The predicates of the organization's segments may take too long together on one event.",
      details: { limit: String(ORGANIZATION_UNITS_MAX) },
    });
  }
}
