// Replaces the segments that a rule references.
import type { Rule } from "../engine/rule/rule.ts";

/** Returns the rule with each referenced segment replaced. `path` is the path of the rule, for errors. */
export function mapSegmentIds<From extends string, To extends string>(
  rule: Rule<From>,
  replace: (id: From, path: string) => To,
  path = "rule",
): Rule<To> {
  switch (rule.kind) {
    case "all":
    case "any": {
      const { kind } = rule;
      return {
        kind,
        rules: rule.rules.map((child, index) =>
          mapSegmentIds(child, replace, `${path}.${kind}.rules[${index}]`),
        ),
      };
    }
    case "not":
      return { kind: "not", rule: mapSegmentIds(rule.rule, replace, `${path}.not`) };
    case "in_segment":
      return { ...rule, segmentId: replace(rule.segmentId, `${path}.in_segment.segment_id`) };
    default:
      return rule;
  }
}
