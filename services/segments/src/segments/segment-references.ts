// The segments that a rule names, when it is saved: found by id or slug, and never in a circle.
import { isUuid, type SegmentId } from "@muster/core";
import { invalidField } from "@muster/errors";
import type { Rule } from "../engine/rule.ts";
import { findCycle } from "./evaluations.ts";
import { mapSegments } from "./map-segments.ts";
import type { Segment } from "./segment.ts";

/** The rule with ids in place of slugs. FIELD_INVALID when it names a segment that is not among these. */
export function resolveSegments(rule: Rule, segments: readonly Segment[], path: string): Rule {
  const resolve = (name: SegmentId, at: string): SegmentId => {
    const wanted = isUuid(name) ? name.toLowerCase() : name;
    const found = segments.find(({ id, slug }) => id === wanted || slug === wanted);
    if (found === undefined) throw invalidField(at, "names no segment");
    return found.id;
  };
  return mapSegments(rule, resolve, path);
}

/** FIELD_INVALID when the segment's saved rule leads back to itself, naming the way. */
export function refuseCycle(segments: readonly Segment[], id: SegmentId, path: string): void {
  const cycle = findCycle(segments, id);
  if (cycle === undefined) return;
  const way = cycle.map(({ slug }) => slug).join(" -> ");
  throw invalidField(path, `goes in a circle: ${way}`);
}
