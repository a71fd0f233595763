// Resolves the segments that a rule references when it is saved, and rejects cycles.
import { isUuid, type SegmentId } from "@muster/core";
import { invalidField } from "@muster/errors";
import type { Rule } from "../engine/rule/rule.ts";
import { mapSegmentIds } from "../rules/map-segment-ids.ts";
import type { Segment } from "../segment-model/segment.ts";
import { findCycle } from "./evaluations.ts";

/**
 * Returns the rule with ids in place of slugs. Throws FIELD_INVALID for a reference to an unknown segment.
 */
export function resolveSegments(rule: Rule, segments: readonly Segment[], path: string): Rule {
  const resolve = (name: SegmentId, at: string): SegmentId => {
    const wanted = isUuid(name) ? name.toLowerCase() : name;
    const found = segments.find(({ id, slug }) => id === wanted || slug === wanted);
    if (found === undefined) throw invalidField(at, "must be the id or slug of a segment");
    return found.id;
  };
  return mapSegmentIds(rule, resolve, path);
}

/** Throws FIELD_INVALID with the cycle if the segment's saved rule refers back to the segment. */
export function rejectCycle(segments: readonly Segment[], id: SegmentId, path: string): void {
  const cycle = findCycle(segments, id);
  if (cycle === undefined) return;
  const way = cycle.map(({ slug }) => slug).join(" -> ");
  throw invalidField(path, `must not refer back to its segment: ${way}`);
}
