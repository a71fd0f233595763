// Compiles an organization's segments: which facts an event changes, how much each fact must keep, and which
// segments each fact affects.
import type { EvaluationId } from "@muster/core";
import type { Predicate } from "../../predicates/predicate.ts";
import { type FactSpec, factsOfLeaf, mergeSpecs, traitKeyOf } from "../facts/fact-spec.ts";
import { RECENT_MAX } from "../facts/ordered-facts.ts";
import { VALUES_MAX } from "../facts/value-facts.ts";
import type { Matcher } from "../rule/matcher.ts";
import { mayMatchEmptyHistory } from "../rule/matches-empty-history.ts";
import { type EvaluatedRule, leavesOf, segmentsIn } from "../rule/rule.ts";

export interface SegmentDefinition {
  readonly id: EvaluationId;
  readonly rule: EvaluatedRule;
  /**
   * The evaluation that this definition replaces. Profiles that match both keep the predecessor's
   * `enteredMs`.
   */
  readonly predecessorId?: EvaluationId;
}

/** A matcher that at least one segment reads. */
export interface TrackedMatcher {
  readonly matcher: Matcher;
  readonly targets: readonly FactTarget[];
  /** Properties whose numeric values the matcher's facts read. */
  readonly properties: readonly string[];
}

/** A fact that the events of a matcher change. */
export interface FactTarget {
  readonly fact: TrackedFact;
  /** Bit i is set when the matcher is the fact's matcher i. */
  readonly matcherBits: number;
}

export interface TrackedFact {
  /** Merged from the specs of all segments that read the fact. */
  readonly spec: FactSpec;
  readonly segments: ReadonlySet<SegmentDefinition>;
}

/** A predicate on traits that at least one segment reads. */
export interface TrackedTrait {
  readonly key: string;
  readonly predicate: Predicate;
  readonly segments: ReadonlySet<SegmentDefinition>;
}

interface MutableFact extends TrackedFact {
  spec: FactSpec;
  readonly segments: Set<SegmentDefinition>;
}

interface MutableMatcher extends TrackedMatcher {
  readonly targets: FactTarget[];
  readonly properties: string[];
}

interface MutableTrait extends TrackedTrait {
  readonly segments: Set<SegmentDefinition>;
}

/**
 * Most numbers in all value logs of one profile together, unless VALUES_MIN for each log exceeds the total.
 */
const VALUES_TOTAL = 100_000;
const VALUES_MIN = 100;
const NONE: readonly never[] = [];

/** One immutable version of an organization's segment definitions. */
export class Definitions {
  readonly version: number;
  readonly segments: ReadonlyMap<EvaluationId, SegmentDefinition>;
  /** Segments that a profile without events may match, now or later. */
  readonly emptyHistorySegments: readonly SegmentDefinition[];
  /** The predicates on traits, by rising cost. */
  readonly traits: readonly TrackedTrait[];
  /** Most numbers that one value log of a profile may keep. */
  readonly valuesMax: number;
  readonly #facts = new Map<string, MutableFact>();
  readonly #byMatcher = new Map<string, MutableMatcher>();
  readonly #byEventName = new Map<string, TrackedMatcher[]>();
  readonly #anyEventMatchers: TrackedMatcher[] = [];
  readonly #traits = new Map<string, MutableTrait>();
  readonly #dependents = new Map<EvaluationId, SegmentDefinition[]>();

  constructor(version: number, segments: Iterable<SegmentDefinition>) {
    this.version = version;
    this.segments = new Map([...segments].map((segment) => [segment.id, segment]));
    for (const segment of this.segments.values()) this.#addSegment(segment);
    for (const fact of this.#facts.values()) this.#connectFact(fact);
    // Added to the list of every name, so that an event needs a single lookup.
    for (const list of this.#byEventName.values()) list.push(...this.#anyEventMatchers);
    for (const list of [this.#anyEventMatchers, ...this.#byEventName.values()]) list.sort(byCostOfMatcher);
    this.traits = [...this.#traits.values()].sort(byCostOfTrait);
    this.emptyHistorySegments = [...this.segments.values()].filter(({ rule }) => mayMatchEmptyHistory(rule));
    this.valuesMax = this.#valuesPerLog();
  }

  /** Divides VALUES_TOTAL evenly among the value logs. */
  #valuesPerLog(): number {
    let logs = 0;
    for (const { spec } of this.#facts.values()) if (spec.kind === "values") logs += 1;
    return Math.max(VALUES_MIN, Math.min(VALUES_MAX, Math.floor(VALUES_TOTAL / Math.max(1, logs))));
  }

  #addSegment(segment: SegmentDefinition): void {
    for (const leaf of leavesOf(segment.rule)) {
      for (const spec of factsOfLeaf(leaf)) this.#trackFact(spec, segment);
      if (leaf.kind === "trait") this.#trackTrait(leaf.where, segment);
    }
    for (const id of segmentsIn(segment.rule)) {
      this.#dependents.set(id, [...(this.#dependents.get(id) ?? []), segment]);
    }
  }

  #trackFact(spec: FactSpec, segment: SegmentDefinition): void {
    const known = this.#facts.get(spec.key);
    if (known === undefined) this.#facts.set(spec.key, { spec, segments: new Set([segment]) });
    else {
      known.spec = mergeSpecs(known.spec, spec);
      known.segments.add(segment);
    }
  }

  #trackTrait(predicate: Predicate, segment: SegmentDefinition): void {
    const key = traitKeyOf(predicate);
    const known = this.#traits.get(key);
    if (known === undefined) this.#traits.set(key, { key, predicate, segments: new Set([segment]) });
    else known.segments.add(segment);
  }

  #connectFact(fact: TrackedFact): void {
    const { spec } = fact;
    const matcherBits = new Map<string, number>();
    for (const [index, { key }] of spec.matchers.entries()) {
      matcherBits.set(key, (matcherBits.get(key) ?? 0) | (1 << index));
    }
    for (const matcher of new Map(spec.matchers.map((one) => [one.key, one])).values()) {
      const tracked = this.#trackMatcher(matcher);
      tracked.targets.push({ fact, matcherBits: matcherBits.get(matcher.key) ?? 0 });
      const isNumeric = spec.kind === "tally" || spec.kind === "values";
      if (isNumeric && !tracked.properties.includes(spec.property)) tracked.properties.push(spec.property);
    }
  }

  #trackMatcher(matcher: Matcher): MutableMatcher {
    const known = this.#byMatcher.get(matcher.key);
    if (known !== undefined) return known;
    const tracked: MutableMatcher = { matcher, targets: [], properties: [] };
    this.#byMatcher.set(matcher.key, tracked);
    const { eventName } = matcher;
    if (eventName === undefined) this.#anyEventMatchers.push(tracked);
    else {
      const list = this.#byEventName.get(eventName);
      if (list === undefined) this.#byEventName.set(eventName, [tracked]);
      else list.push(tracked);
    }
    return tracked;
  }

  readonly ruleOf = (evaluationId: EvaluationId): EvaluatedRule | undefined =>
    this.segments.get(evaluationId)?.rule;

  /** The matchers that an event of this name may match, depending on its properties, by rising cost. */
  candidates(eventName: string): readonly TrackedMatcher[] {
    return this.#byEventName.get(eventName) ?? this.#anyEventMatchers;
  }

  /** Undefined when no segment reads the matcher. */
  tracked(matcherKey: string): TrackedMatcher | undefined {
    return this.#byMatcher.get(matcherKey);
  }

  /** Undefined when no segment reads the fact. */
  fact(factKey: string): TrackedFact | undefined {
    return this.#facts.get(factKey);
  }

  get facts(): Iterable<TrackedFact> {
    return this.#facts.values();
  }

  /** Whether some segment depends on the existence or the traits of profiles. */
  get readsProfiles(): boolean {
    return this.emptyHistorySegments.length > 0 || this.#traits.size > 0;
  }

  /** The segments whose rules refer to this segment. */
  dependents(evaluationId: EvaluationId): readonly SegmentDefinition[] {
    return this.#dependents.get(evaluationId) ?? NONE;
  }

  /** The segments that read any of these facts or predicates on traits, directly or through other segments. */
  segmentsReading(keys: ReadonlySet<string>): ReadonlySet<SegmentDefinition> {
    const found = new Set<SegmentDefinition>();
    for (const key of keys) {
      const tracked = this.#facts.get(key) ?? this.#traits.get(key);
      for (const segment of tracked?.segments ?? NONE) found.add(segment);
    }
    // The loop also visits segments that are added to the set meanwhile.
    for (const { id } of found) for (const dependent of this.dependents(id)) found.add(dependent);
    return found;
  }

  /** The names of all events that affect some segment; "every" when a matcher accepts any name. */
  eventNames(): string[] | "every" {
    return this.#anyEventMatchers.length > 0 ? "every" : [...this.#byEventName.keys()];
  }

  /** The largest number of instants that one profile may keep. */
  get instantsMax(): number {
    let sum = 0;
    for (const { spec } of this.#facts.values()) sum += instantsOf(spec);
    return sum;
  }
}

function byCostOfMatcher({ matcher: a }: TrackedMatcher, { matcher: b }: TrackedMatcher): number {
  return (a.where?.worstCaseUnits ?? 0) - (b.where?.worstCaseUnits ?? 0) || compareKeys(a, b);
}

function byCostOfTrait(a: TrackedTrait, b: TrackedTrait): number {
  return a.predicate.worstCaseUnits - b.predicate.worstCaseUnits || compareKeys(a, b);
}

function compareKeys(a: { readonly key: string }, b: { readonly key: string }): number {
  return a.key < b.key ? -1 : Number(a.key > b.key);
}

function instantsOf(spec: FactSpec): number {
  switch (spec.kind) {
    case "count":
      return spec.depth;
    case "sequence":
      return RECENT_MAX + spec.plan.steps ** 2;
    case "held":
      return RECENT_MAX;
    case "days":
      return Math.ceil(spec.days / 8);
    case "tally":
    case "values":
      return 1;
  }
}
