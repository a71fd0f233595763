// Defines the union of all kinds of facts and applies past events to them.
import { type DayFacts, emptyDayFacts, noteDay } from "./day-facts.ts";
import type { FactSpec, Range } from "./fact-spec.ts";
import { applyEvent, emptyFacts, type Facts, type Instant } from "./facts.ts";
import { emptyHeldFacts, type HeldFacts, noteHeld } from "./held-facts.ts";
import { emptySequenceFacts, noteSequence, type SequenceFacts } from "./sequence-facts.ts";
import { dayOf } from "./time-zone.ts";
import { emptyTally, emptyValueLog, logValue, type Tally, tallyValue, type ValueLog } from "./value-facts.ts";

export type AnyFacts = Facts | Tally | ValueLog | DayFacts | HeldFacts | SequenceFacts;

/** An event in the form that facts accept. */
export interface FactEvent {
  readonly instant: Instant;
  /** Numeric values of the properties that facts of the matching matchers read, by property name. */
  readonly values: ReadonlyMap<string, number> | undefined;
}

export interface FeedOptions {
  /** Bit i is set when the event matches the spec's matcher i. */
  readonly marks: number;
  readonly nowMs: number;
  /** Most numbers that one value log may keep. */
  readonly valuesMax: number;
}

/** Whether the event changes facts of this spec. Invariant: an event that changes no facts creates no row. */
export function isOfInterest(spec: FactSpec, { instant, values }: FactEvent): boolean {
  if (spec.kind === "count" || spec.kind === "tally") {
    if (spec.range !== undefined && !isWithin(spec.range, instant[0])) return false;
  }
  return !(spec.kind === "tally" || spec.kind === "values") || values?.get(spec.property) !== undefined;
}

export function emptyFactsOf(spec: FactSpec): AnyFacts {
  switch (spec.kind) {
    case "count":
      return emptyFacts();
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
export function feed(spec: FactSpec, facts: AnyFacts, event: FactEvent, options: FeedOptions): boolean {
  const { instant } = event;
  if (spec.kind === "count" && facts.kind === "count") applyEvent(facts, instant, spec.depth);
  else if (spec.kind === "tally" && facts.kind === "tally")
    tallyValue(facts, event.values?.get(spec.property) ?? 0);
  else if (spec.kind === "values" && facts.kind === "values") {
    const logged = [instant[0], event.values?.get(spec.property) ?? 0] as const;
    logValue(facts, logged, spec.keepMs, options.valuesMax, options.nowMs);
  } else if (spec.kind === "days" && facts.kind === "days") {
    noteDay(facts, dayOf(spec.timeZone, instant[0]), spec.days);
  } else if (spec.kind === "held" && facts.kind === "held") return noteHeld(facts, instant, options.marks);
  else if (spec.kind === "sequence" && facts.kind === "sequence") {
    return noteSequence(facts, instant, options.marks, spec.plan);
  }
  return true;
}

function isWithin({ fromMs, toMs }: Range, ms: number): boolean {
  return ms >= fromMs && ms < toMs;
}
