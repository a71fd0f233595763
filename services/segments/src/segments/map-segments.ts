// Puts other segments in the places of those that a rule names.
import type { SegmentId } from "@muster/core";
import type { Rule } from "../engine/rule.ts";

/** The rule with each segment that it names replaced. `path` is where the rule stands, for errors. */
export function mapSegments(
  rule: Rule,
  replace: (id: SegmentId, path: string) => SegmentId,
  path = "rule",
): Rule {
  switch (rule.kind) {
    case "all":
    case "any": {
      const { kind } = rule;
      return {
        kind,
        rules: rule.rules.map((child, index) =>
          mapSegments(child, replace, `${path}.${kind}.rules[${index}]`),
        ),
      };
    }
    case "not":
      return { kind: "not", rule: mapSegments(rule.rule, replace, `${path}.not`) };
    case "in_segment":
      return { ...rule, segmentId: replace(rule.segmentId, `${path}.in_segment.segment_id`) };
    default:
      return rule;
  }
}
