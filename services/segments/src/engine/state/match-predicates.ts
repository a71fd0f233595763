// Evaluates the predicates of an organization's segments on one event, or on the traits of one profile, within
// a budget of work. Predicates beyond the budget stay unknown.
import type { Predicate } from "../../predicates/predicate.ts";
import { isMap, type JsonObject } from "../../predicates/values/values.ts";
import type { Definitions, TrackedMatcher, TrackedTrait } from "./definitions.ts";

/** Units for data of any size: 10 ms. */
const BUDGET_UNITS_MIN = 500_000;
/** Further units for each character of the data: about 1 ms for a KiB. */
const BUDGET_UNITS_PER_CHARACTER = 48;
const PARSING_UNITS_PER_CHARACTER = 0.5;

/**
 * The results of all predicates on one JSON object. Invariant: depends on the definitions and on the object
 * alone, so that every replica, a repetition and a rebuild find the same.
 */
export interface PredicateMatch<Tracked> {
  readonly definitions: Definitions;
  readonly matching: readonly Tracked[];
  /** Not evaluated, because the budget was used up. */
  readonly unknown: readonly Tracked[];
  /** Units of work used; see predicates/parse/limits.ts. */
  readonly units: number;
  /** The parsed object, if a predicate has read it. */
  readonly object: JsonObject | undefined;
}

export type EventMatch = PredicateMatch<TrackedMatcher>;
export type TraitMatch = PredicateMatch<TrackedTrait>;

/** Yields the units used since the last step, so that the caller may interrupt long work. */
export type MatchSteps<Tracked> = Generator<number, PredicateMatch<Tracked>>;

export function matchEventInSteps(
  definitions: Definitions,
  { eventName, properties }: { readonly eventName: string; readonly properties: string },
): MatchSteps<TrackedMatcher> {
  return matchInSteps(
    definitions,
    definitions.candidates(eventName),
    ({ matcher }) => matcher.where,
    properties,
  );
}

export function matchTraitsInSteps(
  definitions: Definitions,
  { traits }: { readonly traits: string },
): MatchSteps<TrackedTrait> {
  return matchInSteps(definitions, definitions.traits, ({ predicate }) => predicate, traits);
}

/** Runs all steps at once. */
export function allSteps<Tracked>(steps: MatchSteps<Tracked>): PredicateMatch<Tracked> {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/** Candidates with a small worst case come first, so that a costly predicate leaves the others exact. */
function* matchInSteps<Tracked>(
  definitions: Definitions,
  candidates: readonly Tracked[],
  predicateOf: (tracked: Tracked) => Predicate | undefined,
  json: string,
): MatchSteps<Tracked> {
  const matching: Tracked[] = [];
  const unknown: Tracked[] = [];
  let object: JsonObject | undefined;
  let units = 0;
  let yielded = 0;
  const unitsMax = BUDGET_UNITS_MIN + BUDGET_UNITS_PER_CHARACTER * json.length;
  for (const candidate of candidates) {
    const predicate = predicateOf(candidate);
    if (predicate === undefined) {
      matching.push(candidate);
      continue;
    }
    if (object === undefined) {
      object = parseObject(json);
      units += Math.ceil(json.length * PARSING_UNITS_PER_CHARACTER);
    }
    const result = predicate.matchesWithin(unitsMax - units, object);
    units += result.units;
    if (result.holds === undefined) unknown.push(candidate);
    else if (result.holds) matching.push(candidate);
    yield units - yielded;
    yielded = units;
  }
  return { definitions, matching, unknown, units, object };
}

export function parseObject(json: string): JsonObject {
  try {
    const value: unknown = JSON.parse(json);
    return isMap(value) ? value : {};
  } catch {
    return {};
  }
}
