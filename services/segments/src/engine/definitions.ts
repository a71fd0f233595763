// An organisation's segments, compiled for folding: which facts an event feeds, how much each must keep, and
// which segments each touches.
import type { SegmentId } from "@muster/core";
import type { Predicate } from "../predicates/predicate.ts";
import type { JsonObject } from "../predicates/values.ts";
import { type FactSpec, factsOfLeaf, mergeSpecs, traitKeyOf } from "./fact-spec.ts";
import type { Matcher } from "./matcher.ts";
import { RECENT_MAX } from "./ordered-facts.ts";
import { leavesOf, type Rule, segmentsIn } from "./rule.ts";
import { VALUES_MAX } from "./value-facts.ts";
import { mayHoldWithoutEvents } from "./without-events.ts";

export interface SegmentDefinition {
  readonly id: SegmentId;
  readonly rule: Rule;
  /** What it is to take over from: who is a member by both has been one since it entered that. */
  readonly succeeds?: SegmentId;
}

/** A matcher that some segment reads. */
export interface TrackedMatcher {
  readonly matcher: Matcher;
  readonly feeds: readonly Feed[];
  /** Properties whose numbers some of the facts take. */
  readonly properties: readonly string[];
}

/** Where an event of a matcher goes. */
export interface Feed {
  readonly fact: TrackedFact;
  /** The matcher's places among those that feed the fact, as bits. */
  readonly marks: number;
}

export interface TrackedFact {
  /** Serves every segment that reads it. */
  readonly spec: FactSpec;
  readonly segments: ReadonlySet<SegmentDefinition>;
}

/** A predicate on traits that some segment reads. */
export interface TrackedTrait {
  readonly key: string;
  readonly predicate: Predicate;
  readonly segments: ReadonlySet<SegmentDefinition>;
}

interface GrowingFact extends TrackedFact {
  spec: FactSpec;
  readonly segments: Set<SegmentDefinition>;
}

interface GrowingMatcher extends TrackedMatcher {
  readonly feeds: Feed[];
  readonly properties: string[];
}

interface GrowingTrait extends TrackedTrait {
  readonly segments: Set<SegmentDefinition>;
}

/** Numbers that one profile may keep in all its logs, as long as each has VALUES_MIN. */
const VALUES_TOTAL = 100_000;
const VALUES_MIN = 100;
const NONE: readonly never[] = [];

/** One version of them; never changes. */
export class Definitions {
  readonly version: number;
  readonly segments: ReadonlyMap<SegmentId, SegmentDefinition>;
  /** Those that a profile without events may be in, now or in time. */
  readonly everyProfile: readonly SegmentDefinition[];
  /** Numbers that one log of a profile may keep. */
  readonly valuesMax: number;
  readonly #facts = new Map<string, GrowingFact>();
  readonly #byMatcher = new Map<string, GrowingMatcher>();
  readonly #byEventName = new Map<string, TrackedMatcher[]>();
  readonly #ofAnyEvent: TrackedMatcher[] = [];
  readonly #traits = new Map<string, GrowingTrait>();
  readonly #dependants = new Map<SegmentId, SegmentDefinition[]>();

  constructor(version: number, segments: Iterable<SegmentDefinition>) {
    this.version = version;
    this.segments = new Map([...segments].map((segment) => [segment.id, segment]));
    for (const segment of this.segments.values()) this.#read(segment);
    for (const fact of this.#facts.values()) this.#connect(fact);
    // Found by every name, so that an event asks one list.
    for (const list of this.#byEventName.values()) list.push(...this.#ofAnyEvent);
    this.everyProfile = [...this.segments.values()].filter(({ rule }) => mayHoldWithoutEvents(rule));
    this.valuesMax = this.#shareOfValues();
  }

  /** Each log has its share. */
  #shareOfValues(): number {
    let logs = 0;
    for (const { spec } of this.#facts.values()) if (spec.kind === "values") logs += 1;
    return Math.max(VALUES_MIN, Math.min(VALUES_MAX, Math.floor(VALUES_TOTAL / Math.max(1, logs))));
  }

  #read(segment: SegmentDefinition): void {
    for (const leaf of leavesOf(segment.rule)) {
      for (const spec of factsOfLeaf(leaf)) this.#trackFact(spec, segment);
      if (leaf.kind === "trait") this.#trackTrait(leaf.where, segment);
    }
    for (const id of segmentsIn(segment.rule)) {
      this.#dependants.set(id, [...(this.#dependants.get(id) ?? []), segment]);
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

  #connect(fact: TrackedFact): void {
    const { spec } = fact;
    const marks = new Map<string, number>();
    for (const [index, { key }] of spec.matchers.entries()) {
      marks.set(key, (marks.get(key) ?? 0) | (1 << index));
    }
    for (const matcher of new Map(spec.matchers.map((one) => [one.key, one])).values()) {
      const tracked = this.#trackMatcher(matcher);
      tracked.feeds.push({ fact, marks: marks.get(matcher.key) ?? 0 });
      const isNumeric = spec.kind === "tally" || spec.kind === "values";
      if (isNumeric && !tracked.properties.includes(spec.property)) tracked.properties.push(spec.property);
    }
  }

  #trackMatcher(matcher: Matcher): GrowingMatcher {
    const known = this.#byMatcher.get(matcher.key);
    if (known !== undefined) return known;
    const tracked: GrowingMatcher = { matcher, feeds: [], properties: [] };
    this.#byMatcher.set(matcher.key, tracked);
    const { eventName } = matcher;
    if (eventName === undefined) this.#ofAnyEvent.push(tracked);
    else {
      const list = this.#byEventName.get(eventName);
      if (list === undefined) this.#byEventName.set(eventName, [tracked]);
      else list.push(tracked);
    }
    return tracked;
  }

  readonly ruleOf = (segmentId: SegmentId): Rule | undefined => this.segments.get(segmentId)?.rule;

  /** The matchers that an event of this name may feed, by its properties. */
  candidates(eventName: string): readonly TrackedMatcher[] {
    return this.#byEventName.get(eventName) ?? this.#ofAnyEvent;
  }

  /** The matchers that the event feeds; each distinct predicate is evaluated once. */
  matching(eventName: string, properties: () => JsonObject): readonly TrackedMatcher[] {
    const candidates = this.candidates(eventName);
    if (!candidates.some(({ matcher }) => matcher.where !== undefined)) return candidates;
    return candidates.filter(({ matcher }) => matcher.where?.matches(properties()) ?? true);
  }

  /** Undefined when no segment reads it any more. */
  tracked(matcherKey: string): TrackedMatcher | undefined {
    return this.#byMatcher.get(matcherKey);
  }

  /** Undefined when no segment reads it any more. */
  fact(factKey: string): TrackedFact | undefined {
    return this.#facts.get(factKey);
  }

  get facts(): Iterable<TrackedFact> {
    return this.#facts.values();
  }

  get traits(): Iterable<TrackedTrait> {
    return this.#traits.values();
  }

  /** Whether it matters to some segment that a profile is there, or what its traits are. */
  get readsProfiles(): boolean {
    return this.everyProfile.length > 0 || this.#traits.size > 0;
  }

  /** The segments whose rules refer to this one. */
  dependants(segmentId: SegmentId): readonly SegmentDefinition[] {
    return this.#dependants.get(segmentId) ?? NONE;
  }

  /** The names of all events that count for some segment; "every" where any name does. */
  eventNames(): string[] | "every" {
    return this.#ofAnyEvent.length > 0 ? "every" : [...this.#byEventName.keys()];
  }

  /** The most instants that one profile may ever keep. */
  get instantsMax(): number {
    let sum = 0;
    for (const { spec } of this.#facts.values()) sum += instantsOf(spec);
    return sum;
  }
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
