// Converts a rule from its proto to the engine's form. Errors name the field.
import { type Duration, durationMs, type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type ActiveDays as ActiveDaysMessage,
  Aggregate_Function,
  type Aggregate as AggregateMessage,
  type CountCondition as CountMessage,
  Occurrence_Which,
  type Occurrence as OccurrenceMessage,
  type PerformedThenNot as PerformedThenNotMessage,
  type Rule as RuleMessage,
  type Sequence as SequenceMessage,
  type Window as WindowMessage,
} from "@muster/contracts/muster/segments/v1/rule_pb";
import { type SegmentId, timeZoneNamed } from "@muster/core";
import { invalidField } from "@muster/errors";
import { type Matcher, matcherOf } from "../engine/rule/matcher.ts";
import type {
  Aggregate,
  Comparison,
  CountCondition,
  OccurrenceCondition,
  Rule,
  Window,
} from "../engine/rule/rule.ts";
import {
  ACTIVE_DAYS_MAX,
  exceededLimit,
  RULE_DEPTH_MAX,
  SPAN_MS_MAX,
  WINDOWED_COUNT_MAX,
} from "../engine/rule/rule-limits.ts";
import { PredicateError } from "../predicates/parse/predicate-error.ts";
import { compilePredicate, type Predicate, type PredicateSubject } from "../predicates/predicate.ts";

/** The path of a field in the request, and the default time zone. */
interface RuleLocation {
  readonly path: string;
  readonly timeZone: string;
}

/**
 * Throws FIELD_INVALID with the field, below `path`. Calendar days without a time zone get `timeZone`.
 * Referenced segments stay as written: ids or slugs.
 */
export function ruleFromProto(message: RuleMessage, path: string, timeZone: string): Rule {
  const rule = nodeFromProto(message, { path, timeZone }, 1);
  const excess = exceededLimit(rule);
  if (excess !== undefined) throw invalidField(path, excess);
  return rule;
}

function nodeFromProto({ kind }: RuleMessage, location: RuleLocation, level: number): Rule {
  if (level > RULE_DEPTH_MAX)
    throw invalidField(location.path, `must be within the ${RULE_DEPTH_MAX} levels of a rule`);
  switch (kind.case) {
    case "all":
    case "any": {
      const children = kind.value.rules;
      const own = at(location, kind.case);
      if (children.length === 0) throw invalidField(`${own.path}.rules`, "is required");
      const rules = children.map((child, index) =>
        nodeFromProto(child, at(own, `rules[${index}]`), level + 1),
      );
      return { kind: kind.case, rules };
    }
    case "not":
      return { kind: "not", rule: nodeFromProto(kind.value, at(location, "not"), level + 1) };
    default:
      return leafFromProto(kind, location);
  }
}

function leafFromProto(kind: RuleMessage["kind"], location: RuleLocation): Rule {
  switch (kind.case) {
    case "performed": {
      const own = at(location, "performed");
      const { eventName, where, window } = kind.value;
      const count = countFrom(own, kind.value.count);
      const countPath = `${own.path}.count.${count.kind}`;
      return performedOf(matcherFrom(own, eventName, where), count, windowFrom(own, window), { countPath });
    }
    case "performedThenNot":
      return performedThenNotFrom(kind.value, at(location, "performed_then_not"));
    case "sequence":
      return sequenceFrom(kind.value, at(location, "sequence"));
    case "trait": {
      const where = predicateFrom(at(location, "trait.where"), kind.value.where, "traits");
      return { kind: "trait", where };
    }
    case "inSegment":
      return { kind: "in_segment", segmentId: kind.value.segmentId as SegmentId };
    case "inactiveFor":
      return {
        kind: "inactive_for",
        ms: durationMsFrom(at(location, "inactive_for.duration"), kind.value.duration),
      };
    case "aggregate":
      return aggregateFrom(kind.value, at(location, "aggregate"));
    case "occurrence":
      return occurrenceFrom(kind.value, at(location, "occurrence"));
    case "activeDays":
      return activeDaysFrom(kind.value, at(location, "active_days"));
    default:
      throw invalidField(location.path, "is required");
  }
}

/** `countPath` is the path of the count, for the error if the count is too large. */
export function performedOf(
  matcher: Matcher,
  count: CountCondition,
  window: Window | undefined,
  { countPath }: { readonly countPath: string },
): Rule {
  const isMoving = window !== undefined && window.kind !== "between";
  if (isMoving && count.n > WINDOWED_COUNT_MAX) {
    throw invalidField(countPath, `must be at most ${WINDOWED_COUNT_MAX} with a window`);
  }
  return { kind: "performed", matcher, count, window };
}

function performedThenNotFrom(message: PerformedThenNotMessage, location: RuleLocation): Rule {
  const { eventName, where, thenNotEventName, thenNotWhere, heldFor } = message;
  return {
    kind: "performed_then_not",
    matcher: matcherFrom(location, eventName, where),
    thenNot: matcherFrom(location, thenNotEventName, thenNotWhere, "then_not_"),
    heldForMs: heldFor === undefined ? 0 : durationMsFrom(at(location, "held_for"), heldFor),
  };
}

function sequenceFrom({ steps, within, window }: SequenceMessage, location: RuleLocation): Rule {
  if (steps.length < 2 || steps.length > 8) throw invalidField(`${location.path}.steps`, "must be 2 to 8");
  return {
    kind: "sequence",
    steps: steps.map(({ eventName, where }, index) =>
      matcherFrom(at(location, `steps[${index}]`), eventName, where),
    ),
    withinMs: durationMsFrom(at(location, "within"), within),
    window: windowFrom(location, window),
  };
}

const FUNCTIONS: ReadonlyMap<Aggregate_Function, Aggregate["function"]> = new Map([
  [Aggregate_Function.SUM, "sum"],
  [Aggregate_Function.AVERAGE, "average"],
  [Aggregate_Function.MIN, "min"],
  [Aggregate_Function.MAX, "max"],
]);

function aggregateFrom(message: AggregateMessage, location: RuleLocation): Rule {
  const { eventName, where, property, window, comparison } = message;
  const name = FUNCTIONS.get(message.function);
  if (name === undefined) throw invalidField(`${location.path}.function`, "is required");
  if (comparison.case === undefined) throw invalidField(location.path, "a comparison is required");
  return {
    kind: "aggregate",
    function: name,
    matcher: matcherFrom(location, eventName, where),
    property,
    window: windowFrom(location, window),
    comparison: { kind: COMPARISONS[comparison.case], value: comparison.value },
  };
}

function occurrenceFrom(message: OccurrenceMessage, location: RuleLocation): Rule {
  const { eventName, where, which, condition } = message;
  if (which !== Occurrence_Which.FIRST && which !== Occurrence_Which.LAST) {
    throw invalidField(`${location.path}.which`, "is required");
  }
  return {
    kind: "occurrence",
    which: which === Occurrence_Which.FIRST ? "first" : "last",
    matcher: matcherFrom(location, eventName, where),
    when: occurrenceConditionFrom(condition, location),
  };
}

function occurrenceConditionFrom(
  condition: OccurrenceMessage["condition"],
  location: RuleLocation,
): OccurrenceCondition {
  switch (condition.case) {
    case "before":
    case "after":
      return { kind: condition.case, ms: instantFrom(at(location, condition.case), condition.value) };
    case "within":
      return { kind: "within", ms: durationMsFrom(at(location, "within"), condition.value) };
    default:
      throw invalidField(location.path, "before, after or within is required");
  }
}

function activeDaysFrom(message: ActiveDaysMessage, location: RuleLocation): Rule {
  const { eventName, where, atLeast, ofLastDays } = message;
  if (ofLastDays < 1 || ofLastDays > ACTIVE_DAYS_MAX) {
    throw invalidField(`${location.path}.of_last_days`, `must be 1 to ${ACTIVE_DAYS_MAX}`);
  }
  if (atLeast < 1 || atLeast > ofLastDays) {
    throw invalidField(`${location.path}.at_least`, "must be at least 1 and at most of_last_days");
  }
  return {
    kind: "active_days",
    matcher: matcherFrom(location, eventName === "" ? undefined : eventName, where),
    atLeast,
    ofLastDays,
    timeZone: timeZoneFrom(location, message.timeZone),
  };
}

const COMPARISONS = {
  atLeast: "at_least",
  moreThan: "more_than",
  exactly: "exactly",
  atMost: "at_most",
  lessThan: "less_than",
} as const satisfies Record<string, Comparison>;

function countFrom(location: RuleLocation, message: CountMessage | undefined): CountCondition {
  const condition = message?.condition;
  if (condition?.case === undefined) throw invalidField(`${location.path}.count`, "is required");
  const { case: name, value: n } = condition;
  const least = name === "atLeast" || name === "lessThan" ? 1 : 0;
  if (n < least)
    throw invalidField(`${location.path}.count.${COMPARISONS[name]}`, `must be at least ${least}`);
  return { kind: COMPARISONS[name], n };
}

function windowFrom(parent: RuleLocation, message: WindowMessage | undefined): Window | undefined {
  if (message === undefined) return undefined;
  const location = at(parent, "window");
  const { window } = message;
  switch (window.case) {
    case "last":
      return { kind: "last", ms: durationMsFrom(at(location, "last"), window.value) };
    case "between": {
      const fromMs = instantFrom(at(location, "between.from"), window.value.from);
      const toMs = instantFrom(at(location, "between.to"), window.value.to);
      if (toMs <= fromMs) throw invalidField(`${location.path}.between.to`, "must be after from");
      return { kind: "between", fromMs, toMs };
    }
    case "calendarDays": {
      const { days } = window.value;
      const own = at(location, "calendar_days");
      if (days < 1) throw invalidField(`${own.path}.days`, "must be at least 1");
      return { kind: "calendar_days", days, timeZone: timeZoneFrom(own, window.value.timeZone) };
    }
    default:
      throw invalidField(location.path, "is required");
  }
}

function matcherFrom(
  location: RuleLocation,
  eventName: string | undefined,
  where: string,
  prefix = "",
): Matcher {
  if (where === "") return matcherOf(eventName);
  return matcherOf(eventName, predicateFrom(at(location, `${prefix}where`), where, "event"));
}

function predicateFrom({ path }: RuleLocation, source: string, subject: PredicateSubject): Predicate {
  try {
    return compilePredicate(source, subject);
  } catch (error) {
    if (error instanceof PredicateError) throw invalidField(path, error.message);
    throw error;
  }
}

function timeZoneFrom(location: RuleLocation, name: string): string {
  const timeZone = timeZoneNamed(name === "" ? location.timeZone : name);
  if (timeZone === undefined) throw invalidField(`${location.path}.time_zone`, "must be an IANA time zone");
  return timeZone;
}

function durationMsFrom({ path }: RuleLocation, message: Duration | undefined): number {
  if (message === undefined) throw invalidField(path, "is required");
  if (message.nanos % 1_000_000 !== 0) throw invalidField(path, "must be whole milliseconds");
  const ms = durationMs(message);
  if (ms < 1) throw invalidField(path, "must be at least 1 millisecond");
  if (ms > SPAN_MS_MAX) throw invalidField(path, "must be at most 3650 days");
  return ms;
}

function instantFrom({ path }: RuleLocation, message: Timestamp | undefined): number {
  if (message === undefined) throw invalidField(path, "is required");
  if (message.nanos % 1_000_000 !== 0) throw invalidField(path, "must be whole milliseconds");
  return timestampMs(message);
}

function at(location: RuleLocation, field: string): RuleLocation {
  return { ...location, path: `${location.path}.${field}` };
}
