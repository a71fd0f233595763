// Defines the union of all kinds of facts and applies past events to them.
import { dayOf } from "../rule/time-zone.ts";
import { applyToCountFacts, type CountFacts, type EventInstant, emptyCountFacts } from "./count-facts.ts";
import { applyToDayFacts, type DayFacts, emptyDayFacts } from "./day-facts.ts";
import type { FactSpec, Range } from "./fact-spec.ts";
import { applyToHeldFacts, emptyHeldFacts, type HeldFacts } from "./held-facts.ts";
import { applyToSequenceFacts, emptySequenceFacts, type SequenceFacts } from "./sequence-facts.ts";
import { addToLog, addToTally, emptyTally, emptyValueLog, type Tally, type ValueLog } from "./value-facts.ts";

export type AnyFacts = CountFacts | Tally | ValueLog | DayFacts | HeldFacts | SequenceFacts;

/** An event in the form that facts accept. */
export interface FactEvent {
  readonly instant: EventInstant;
  /** Numeric values of the properties that facts of the matching matchers read, by property name. */
  readonly values: ReadonlyMap<string, number> | undefined;
}

export interface ApplyOptions {
  /** Bit i is set when the event matches the spec's matcher i. */
  readonly matcherBits: number;
  readonly nowMs: number;
  /** Most numbers that one value log may keep. */
  readonly valuesMax: number;
}

/** Whether the event changes facts of this spec. Invariant: an event that changes no facts creates no row. */
export function changesFacts(spec: FactSpec, { instant, values }: FactEvent): boolean {
  if (spec.kind === "count" || spec.kind === "tally") {
    if (spec.range !== undefined && !isWithin(spec.range, instant[0])) return false;
  }
  return !(spec.kind === "tally" || spec.kind === "values") || values?.get(spec.property) !== undefined;
}

export function emptyFactsOf(spec: FactSpec): AnyFacts {
  switch (spec.kind) {
    case "count":
      return emptyCountFacts();
    case "tally":
      return emptyTally();
    case "values":
      return emptyValueLog();
    case "days":
      return emptyDayFacts();
    case "held":
      return emptyHeldFacts();
    case "sequence":
      return emptySequenceFacts();
  }
}

/**
 * Applies an event for which `changesFacts` is true. Returns false when the event arrived too late to find
 * its position in the order of events. The profile must then be rebuilt from its raw events.
 */
export function applyToFact(
  spec: FactSpec,
  facts: AnyFacts,
  event: FactEvent,
  options: ApplyOptions,
): boolean {
  const { instant } = event;
  if (spec.kind === "count" && facts.kind === "count") applyToCountFacts(facts, instant, spec.depth);
  else if (spec.kind === "tally" && facts.kind === "tally")
    addToTally(facts, event.values?.get(spec.property) ?? 0);
  else if (spec.kind === "values" && facts.kind === "values") {
    const logged = [instant[0], event.values?.get(spec.property) ?? 0] as const;
    addToLog(facts, logged, spec.keepMs, options.valuesMax, options.nowMs);
  } else if (spec.kind === "days" && facts.kind === "days") {
    applyToDayFacts(facts, dayOf(spec.timeZone, instant[0]), spec.days);
  } else if (spec.kind === "held" && facts.kind === "held")
    return applyToHeldFacts(facts, instant, options.matcherBits);
  else if (spec.kind === "sequence" && facts.kind === "sequence") {
    return applyToSequenceFacts(facts, instant, options.matcherBits, spec.plan);
  }
  return true;
}

function isWithin({ fromMs, toMs }: Range, ms: number): boolean {
  return ms >= fromMs && ms < toMs;
}
