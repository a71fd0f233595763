// Converts a rule from the engine's form to its proto.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Duration, timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  Aggregate_Function,
  type AggregateSchema,
  type CountConditionSchema,
  Occurrence_Which,
  type OccurrenceSchema,
  type RuleSchema,
  type WindowSchema,
} from "@muster/contracts/muster/segments/v1/rule_pb";
import type { Matcher } from "../engine/rule/matcher.ts";
import type { Aggregate, Comparison, CountCondition, Occurrence, Rule, Window } from "../engine/rule/rule.ts";

type RuleInit = MessageInitShape<typeof RuleSchema>;
type AggregateInit = MessageInitShape<typeof AggregateSchema>;
type OccurrenceInit = MessageInitShape<typeof OccurrenceSchema>;

export function ruleToProto(rule: Rule): RuleInit {
  switch (rule.kind) {
    case "all":
    case "any":
      return { kind: { case: rule.kind, value: { rules: rule.rules.map(ruleToProto) } } };
    case "not":
      return { kind: { case: "not", value: ruleToProto(rule.rule) } };
    case "performed": {
      const count = countToProto(rule.count);
      return {
        kind: {
          case: "performed",
          value: { ...matcherToProto(rule.matcher), count, ...windowToProto(rule) },
        },
      };
    }
    case "performed_then_not": {
      const { eventName: thenNotEventName, where: thenNotWhere } = matcherToProto(rule.thenNot);
      const heldFor = rule.heldForMs === 0 ? {} : { heldFor: duration(rule.heldForMs) };
      const value = { ...matcherToProto(rule.matcher), thenNotEventName, thenNotWhere, ...heldFor };
      return { kind: { case: "performedThenNot", value } };
    }
    case "sequence": {
      const steps = rule.steps.map(matcherToProto);
      const value = { steps, within: duration(rule.withinMs), ...windowToProto(rule) };
      return { kind: { case: "sequence", value } };
    }
    case "trait":
      return { kind: { case: "trait", value: { where: rule.where.source } } };
    case "in_segment":
      return { kind: { case: "inSegment", value: { segmentId: rule.segmentId } } };
    case "inactive_for":
      return { kind: { case: "inactiveFor", value: { duration: duration(rule.ms) } } };
    case "aggregate":
      return { kind: { case: "aggregate", value: aggregateToProto(rule) } };
    case "occurrence":
      return { kind: { case: "occurrence", value: occurrenceToProto(rule) } };
    case "active_days": {
      const { atLeast, ofLastDays, timeZone } = rule;
      const value = { ...matcherToProto(rule.matcher), atLeast, ofLastDays, timeZone };
      return { kind: { case: "activeDays", value } };
    }
  }
}

const COMPARISONS = {
  at_least: "atLeast",
  more_than: "moreThan",
  exactly: "exactly",
  at_most: "atMost",
  less_than: "lessThan",
} as const satisfies Record<Comparison, string>;

function countToProto({ kind, n }: CountCondition): MessageInitShape<typeof CountConditionSchema> {
  return { condition: { case: COMPARISONS[kind], value: n } };
}

const FUNCTIONS = {
  sum: Aggregate_Function.SUM,
  average: Aggregate_Function.AVERAGE,
  min: Aggregate_Function.MIN,
  max: Aggregate_Function.MAX,
} as const satisfies Record<Aggregate["function"], Aggregate_Function>;

function aggregateToProto(rule: Aggregate): AggregateInit {
  const { kind, value } = rule.comparison;
  return {
    ...matcherToProto(rule.matcher),
    function: FUNCTIONS[rule.function],
    property: rule.property,
    comparison: { case: COMPARISONS[kind], value },
    ...windowToProto(rule),
  };
}

function occurrenceToProto({ which, matcher, when }: Occurrence): OccurrenceInit {
  const condition: NonNullable<OccurrenceInit["condition"]> =
    when.kind === "within"
      ? { case: "within", value: duration(when.ms) }
      : { case: when.kind, value: timestampFromMs(when.ms) };
  return {
    ...matcherToProto(matcher),
    which: which === "first" ? Occurrence_Which.FIRST : Occurrence_Which.LAST,
    condition,
  };
}

function windowToProto({ window }: { readonly window: Window | undefined }): {
  window?: MessageInitShape<typeof WindowSchema>;
} {
  if (window === undefined) return {};
  switch (window.kind) {
    case "last":
      return { window: { window: { case: "last", value: duration(window.ms) } } };
    case "between": {
      const value = { from: timestampFromMs(window.fromMs), to: timestampFromMs(window.toMs) };
      return { window: { window: { case: "between", value } } };
    }
    case "calendar_days": {
      const { days, timeZone } = window;
      return { window: { window: { case: "calendarDays", value: { days, timeZone } } } };
    }
  }
}

/** An empty name means any event; an empty predicate means all events. */
function matcherToProto({ eventName, where }: Matcher): { eventName: string; where: string } {
  return { eventName: eventName ?? "", where: where?.source ?? "" };
}

function duration(ms: number): Omit<Duration, "$typeName"> {
  return { seconds: BigInt(Math.floor(ms / 1000)), nanos: (ms % 1000) * 1_000_000 };
}
