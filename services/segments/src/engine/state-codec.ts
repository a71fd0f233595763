// The stored form of a profile's state: compact JSON, most of it arrays.
import type { SegmentId } from "@muster/core";
import type { Facts, Instant } from "./facts.ts";
import type { ProfileState } from "./profile-state.ts";

interface StoredState {
  /** Version of this form. */
  readonly v: 1;
  readonly asOf: number;
  readonly facts: readonly StoredFacts[];
  readonly in: readonly (readonly [segmentId: SegmentId, enteredMs: number])[];
  readonly futures?: readonly (readonly [ms: number, eventId: string, matcherKeys: readonly string[]])[];
  readonly droppedMs?: number;
}

type StoredFacts = readonly [key: string, total: number, firstMs: number, lastMs: number, newest: Instant[]];

export function encodeState(state: ProfileState): string {
  const facts: StoredFacts[] = [];
  for (const [key, { total, firstMs, lastMs, newest }] of state.facts) {
    facts.push([key, total, firstMs, lastMs, newest]);
  }
  const stored: StoredState = {
    v: 1,
    asOf: state.asOf,
    facts,
    in: [...state.memberships],
    ...(state.futures.length > 0 && {
      futures: state.futures.map(({ instant, matcherKeys }) => [instant[0], instant[1], matcherKeys]),
    }),
    ...(state.droppedMs !== undefined && { droppedMs: state.droppedMs }),
  };
  return JSON.stringify(stored);
}

export function decodeState(text: string): ProfileState {
  const stored = JSON.parse(text) as StoredState;
  const facts = new Map<string, Facts>();
  for (const [key, total, firstMs, lastMs, newest] of stored.facts) {
    facts.set(key, { total, firstMs, lastMs, newest });
  }
  return {
    asOf: stored.asOf,
    facts,
    memberships: new Map(stored.in),
    futures: (stored.futures ?? []).map(([ms, eventId, matcherKeys]) => ({
      instant: [ms, eventId],
      matcherKeys,
    })),
    droppedMs: stored.droppedMs,
  };
}
