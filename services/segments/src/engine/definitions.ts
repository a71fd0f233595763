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
  readonly segments: readonly SegmentDefinition[];
}

/** One version of them; never changes. */
export class Definitions {
  readonly version: number;
  readonly segments: ReadonlyMap<SegmentId, SegmentDefinition>;
  readonly #byKey = new Map<string, TrackedMatcher>();
  readonly #byEventName = new Map<string, TrackedMatcher[]>();

  constructor(version: number, segments: Iterable<SegmentDefinition>) {
    this.version = version;
    this.segments = new Map([...segments].map((segment) => [segment.id, segment]));
    for (const segment of this.segments.values()) this.#track(segment);
    for (const tracked of this.#byKey.values()) {
      const { eventName } = tracked.matcher;
      this.#byEventName.set(eventName, [...(this.#byEventName.get(eventName) ?? []), tracked]);
    }
  }

  #track(segment: SegmentDefinition): void {
    for (const { matcher, depth } of matchersOf(segment.rule)) {
      const known = this.#byKey.get(matcher.key);
      const segments = new Set([...(known?.segments ?? []), segment]);
      this.#byKey.set(matcher.key, {
        matcher,
        depth: Math.max(depth, known?.depth ?? 0),
        segments: [...segments],
      });
    }
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
}
