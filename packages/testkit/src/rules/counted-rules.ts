// Builds rules that count, sum or find events of one name. Pure.
import { Aggregate_Function, Occurrence_Which } from "@muster/contracts/muster/segments/v1/rule_pb";
import { type DurationText, duration, type RuleInit } from "./rule-init.ts";

type Comparison = "atLeast" | "atMost" | "exactly";

/** Events to count. A comparison returns the rule. */
class Performed {
  readonly #eventName: string;
  readonly #where: string;

  constructor(eventName: string, where = "") {
    this.#eventName = eventName;
    this.#where = where;
  }

  /** Counts only events for which the predicate is true, such as `properties.price > 2`. */
  where(predicate: string): Performed {
    return new Performed(this.#eventName, predicate);
  }

  atLeast(count: number): PerformedRule {
    return this.#compare("atLeast", count);
  }

  atMost(count: number): PerformedRule {
    return this.#compare("atMost", count);
  }

  exactly(count: number): PerformedRule {
    return this.#compare("exactly", count);
  }

  #compare(comparison: Comparison, count: number): PerformedRule {
    return new PerformedRule(this.#eventName, this.#where, { case: comparison, value: count });
  }
}

/** A rule of the kind `performed`. */
class PerformedRule {
  readonly kind;

  constructor(
    eventName: string,
    where: string,
    condition: { readonly case: Comparison; readonly value: number },
    last?: DurationText,
  ) {
    const window = last && { window: { case: "last" as const, value: duration(last) } };
    const value = { eventName, where, count: { condition }, ...(window && { window }) };
    this.kind = { case: "performed" as const, value };
  }

  /** The same rule, about the events of this time before now. */
  within(last: DurationText): PerformedRule {
    const { eventName, where, count } = this.kind.value;
    return new PerformedRule(eventName, where, count.condition, last);
  }
}

export function performed(eventName: string): Performed {
  return new Performed(eventName);
}

export function sum(eventName: string, property: string): { atLeast(value: number): RuleInit } {
  const aggregated = { function: Aggregate_Function.SUM, eventName, property };
  return {
    atLeast: (value) => ({
      kind: { case: "aggregate", value: { ...aggregated, comparison: { case: "atLeast", value } } },
    }),
  };
}

/** The first event of the name. */
export function first(eventName: string): { within(text: DurationText): RuleInit } {
  const occurrence = { which: Occurrence_Which.FIRST, eventName };
  return {
    within: (text) => ({
      kind: {
        case: "occurrence",
        value: { ...occurrence, condition: { case: "within", value: duration(text) } },
      },
    }),
  };
}
