// What becomes of an organisation's segments when one of them gets a rule. It reads and writes nothing.
import type { SegmentId } from "@muster/core";
import { AppError } from "@muster/errors";
import { Definitions } from "../engine/definitions.ts";
import { type Rule, segmentsIn } from "../engine/rule.ts";
import { definitionsOf, savedRule, savedVersion, staleBy } from "./evaluations.ts";
import { INSTANTS_MAX, type Segment } from "./segment.ts";
import { refuseCycle } from "./segment-references.ts";

export interface RuleChange {
  /** All of the organisation's, afterwards. */
  readonly segments: readonly Segment[];
  /** Those of them that are evaluated by another pending rule than before. */
  readonly pending: readonly (Segment & { readonly pending: NonNullable<Segment["pending"]> })[];
  /** Evaluations that nobody waits for any more. */
  readonly dropped: readonly SegmentId[];
}

/** FIELD_INVALID at `path` when the rule leads back to the segment. */
export function changeRule(
  segments: readonly Segment[],
  changed: Segment,
  rule: Rule,
  path: string,
  nextId: () => SegmentId,
): RuleChange {
  const edited = {
    ...changed,
    pending: { evaluationId: nextId(), rule, version: savedVersion(changed) + 1 },
  };
  const withRule = segments.map((segment) => (segment.id === changed.id ? edited : segment));
  refuseCycle(withRule, changed.id, path);
  // What reads this segment is evaluated anew as well, and takes over together with it.
  const stale = staleBy(withRule, changed.id);
  const restarted = stale.map((segment) => ({
    ...segment,
    pending: { evaluationId: nextId(), rule: savedRule(segment), version: savedVersion(segment) },
  }));
  const pending = [edited, ...restarted];
  const byId = new Map(pending.map((segment) => [segment.id, segment]));
  const dropped = [changed, ...stale].flatMap((one) => one.pending?.evaluationId ?? []);
  return { segments: segments.map((segment) => byId.get(segment.id) ?? segment), pending, dropped };
}

/** A new segment: pending from the start where it names one that is, for that will take over. */
export function withPending(segments: readonly Segment[], added: Segment, nextId: () => SegmentId): Segment {
  const named = new Set(segmentsIn(added.rule));
  const isLinked = segments.some(({ id, pending }) => pending !== undefined && named.has(id));
  if (!isLinked) return added;
  return { ...added, pending: { evaluationId: nextId(), rule: added.rule, version: added.version } };
}

/** Whatever is evaluated, a profile's row stays within bounds. */
export function checkSize(segments: readonly Segment[]): void {
  if (new Definitions(0, definitionsOf(segments)).instantsMax <= INSTANTS_MAX) return;
  throw new AppError("SEGMENT_LIMIT_REACHED", {
    message: "The counts with a window that the organisation's segments ask for are too large together.",
    details: { limit: String(INSTANTS_MAX) },
  });
}
