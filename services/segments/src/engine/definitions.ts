// An organisation's segments, compiled for folding: which matchers an event name feeds, how many instants
// each must keep, and which segments each touches.
import type { SegmentId } from "@muster/core";
import type { Matcher } from "./matcher.ts";
import { matchersOf, type Rule } from "./rule.ts";

export interface SegmentDefinition {
  readonly id: SegmentId;
  readonly rule: Rule;
}

/** A matcher that some segment reads. */
export interface TrackedMatcher {
  readonly matcher: Matcher;
  /** The most that any segment asks. */
  readonly depth: number;
  readonly segments: ReadonlySet<SegmentDefinition>;
}

interface GrowingMatcher extends TrackedMatcher {
  depth: number;
  readonly segments: Set<SegmentDefinition>;
}

/** One version of them; never changes. */
export class Definitions {
  readonly version: number;
  readonly segments: ReadonlyMap<SegmentId, SegmentDefinition>;
  readonly #byKey = new Map<string, GrowingMatcher>();
  readonly #byEventName = new Map<string, TrackedMatcher[]>();

  constructor(version: number, segments: Iterable<SegmentDefinition>) {
    this.version = version;
    this.segments = new Map([...segments].map((segment) => [segment.id, segment]));
    for (const segment of this.segments.values()) {
      for (const { matcher, depth } of matchersOf(segment.rule)) {
        const tracked = this.#track(matcher);
        tracked.depth = Math.max(tracked.depth, depth);
        tracked.segments.add(segment);
      }
    }
  }

  #track(matcher: Matcher): GrowingMatcher {
    const known = this.#byKey.get(matcher.key);
    if (known !== undefined) return known;
    const tracked: GrowingMatcher = { matcher, depth: 0, segments: new Set() };
    this.#byKey.set(matcher.key, tracked);
    const { eventName } = matcher;
    this.#byEventName.set(eventName, [...(this.#byEventName.get(eventName) ?? []), tracked]);
    return tracked;
  }

  /** The matchers that an event of this name feeds. */
  matching(eventName: string): readonly TrackedMatcher[] {
    return this.#byEventName.get(eventName) ?? [];
  }

  /** Undefined when no segment reads it any more. */
  tracked(matcherKey: string): TrackedMatcher | undefined {
    return this.#byKey.get(matcherKey);
  }

  /** The names of all events that count for some segment. */
  eventNames(): string[] {
    return [...this.#byEventName.keys()];
  }

  /** The most instants that one profile may ever keep. */
  get instantsMax(): number {
    let sum = 0;
    for (const { depth } of this.#byKey.values()) sum += depth;
    return sum;
  }
}
