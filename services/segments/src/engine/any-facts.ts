// The facts of every kind, and how an event that has happened changes them.
import { type DayFacts, emptyDayFacts, noteDay } from "./day-facts.ts";
import type { FactSpec, Range } from "./fact-spec.ts";
import { applyEvent, emptyFacts, type Facts, type Instant } from "./facts.ts";
import { emptyHeldFacts, type HeldFacts, noteHeld } from "./held-facts.ts";
import { emptySequenceFacts, noteSequence, type SequenceFacts } from "./sequence-facts.ts";
import { dayOf } from "./time-zone.ts";
import { emptyTally, emptyValueLog, logValue, type Tally, tallyValue, type ValueLog } from "./value-facts.ts";

export type AnyFacts = Facts | Tally | ValueLog | DayFacts | HeldFacts | SequenceFacts;

/** An event as facts take it. */
export interface FactEvent {
  readonly instant: Instant;
  /** Numbers of properties that some facts read. */
  readonly values: ReadonlyMap<string, number> | undefined;
}

export interface FeedOptions {
  /** Which of the spec's matchers the event is of. */
  readonly marks: number;
  readonly nowMs: number;
  /** Numbers that one log may keep. */
  readonly valuesMax: number;
}

/** Invariant: only events that change the facts are worth a row. */
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
 * Takes in an event of interest. False when it came so late that only the raw events can tell its place.
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
