// Encodes and decodes a profile's state as compact JSON, mostly arrays.
import type { EvaluationId } from "@muster/core";
import type { AnyFacts } from "../facts/any-facts.ts";
import type { EventInstant } from "../facts/count-facts.ts";
import type { HeldOutcome } from "../facts/held-facts.ts";
import type { OrderedEvent } from "../facts/ordered-facts.ts";
import type { Chain, SequenceOutcome } from "../facts/sequence-facts.ts";
import type { LoggedValue } from "../facts/value-facts.ts";
import type { ProfileState } from "./profile-state.ts";
import type { ScheduledEvent } from "./scheduled-events.ts";

interface StoredState {
  /** Version of this format. In version 1 all facts were counts, and instants had no event ids. */
  readonly v: 1 | 2;
  readonly asOf: number;
  readonly facts: readonly (StoredFacts | StoredFactsV1)[];
  readonly in: readonly (readonly [evaluationId: EvaluationId, enteredMs: number])[];
  readonly createMs?: number;
  readonly traits?: readonly string[];
  readonly scheduledEvents?: readonly StoredScheduledEvent[];
  readonly rebuildDueMs?: number;
  readonly awaitingRebuild?: true;
  readonly since?: readonly (readonly [factKey: string, completeSinceMs: number])[];
  readonly incompleteFacts?: readonly string[];
  readonly unknownKeys?: readonly string[];
  readonly limited?: readonly EvaluationId[];
}

type StoredFactsV1 = readonly [
  key: string,
  total: number,
  firstMs: number,
  lastMs: number,
  newest: EventInstant[],
];

type StoredFacts =
  | readonly [key: string, kind: "c", total: number, first: EventInstant | null, newest: EventInstant[]]
  | readonly [key: string, kind: "t", count: number, sum: number[], min: number, max: number]
  | readonly [key: string, kind: "v", log: LoggedValue[], truncatedMs: number | null]
  | readonly [key: string, kind: "d", days: number[]]
  | readonly [key: string, kind: "h", base: StoredHeld, baseMs: number | null, recent: OrderedEvent[]]
  | readonly [key: string, kind: "s", base: StoredSequence, baseMs: number | null, recent: OrderedEvent[]];

type StoredHeld = readonly [lastMs: number | null, thenNotLastMs: number | null, since: EventInstant | null];
type StoredReached = readonly [chain: Chain, atMs: number, before: Chain | null];
type StoredSequence = readonly [reached: (StoredReached | null)[], completed: Chain | null];
type StoredScheduledEvent = readonly [
  ms: number,
  eventId: string,
  matcherKeys: readonly string[],
  values?: readonly (readonly [property: string, value: number])[],
];

export function encodeState(state: ProfileState): string {
  const { facts, createMs, traits, scheduledEvents, rebuildDueMs } = state;
  const stored: StoredState = {
    v: 2,
    asOf: state.asOf,
    facts: [...facts].map(([key, one]) => encodeFacts(key, one)),
    in: [...state.memberships],
    ...(createMs !== undefined && { createMs }),
    ...(traits.size > 0 && { traits: [...traits] }),
    ...(scheduledEvents.length > 0 && { scheduledEvents: scheduledEvents.map(encodeScheduledEvent) }),
    ...(rebuildDueMs !== undefined && { rebuildDueMs }),
    ...(state.isAwaitingRebuild && { awaitingRebuild: true }),
    ...(state.completeSince.size > 0 && { since: [...state.completeSince] }),
    ...(state.incompleteFacts.size > 0 && { incompleteFacts: [...state.incompleteFacts] }),
    ...(state.unknownKeys.size > 0 && { unknownKeys: [...state.unknownKeys] }),
    ...(state.limitedEvaluations.size > 0 && { limited: [...state.limitedEvaluations] }),
  };
  return JSON.stringify(stored);
}

export function decodeState(text: string): ProfileState {
  const stored = JSON.parse(text) as StoredState;
  return {
    asOf: stored.asOf,
    facts: new Map(stored.facts.map((one) => [one[0], decodeFacts(one)])),
    createMs: stored.createMs,
    traits: new Set(stored.traits),
    memberships: new Map(stored.in),
    scheduledEvents: (stored.scheduledEvents ?? []).map(decodeScheduledEvent),
    rebuildDueMs: stored.rebuildDueMs,
    completeSince: new Map(stored.since),
    incompleteFacts: new Set(stored.incompleteFacts),
    unknownKeys: new Set(stored.unknownKeys),
    limitedEvaluations: new Set(stored.limited),
    isAwaitingRebuild: stored.awaitingRebuild ?? false,
  };
}

function encodeFacts(key: string, facts: AnyFacts): StoredFacts {
  switch (facts.kind) {
    case "count":
      return [key, "c", facts.total, facts.first ?? null, facts.newest];
    case "tally":
      return [key, "t", facts.count, facts.sum, facts.min, facts.max];
    case "values":
      return [key, "v", facts.log, facts.truncatedMs ?? null];
    case "days":
      return [key, "d", facts.days];
    case "held":
      return [key, "h", encodeHeld(facts.base), facts.baseMs ?? null, facts.recent];
    case "sequence":
      return [key, "s", encodeSequence(facts.base), facts.baseMs ?? null, facts.recent];
  }
}

function decodeFacts(stored: StoredFacts | StoredFactsV1): AnyFacts {
  switch (stored[1]) {
    case "c":
      return { kind: "count", total: stored[2], first: stored[3] ?? undefined, newest: stored[4] };
    case "t":
      return { kind: "tally", count: stored[2], sum: stored[3], min: stored[4], max: stored[5] };
    case "v":
      return { kind: "values", log: stored[2], truncatedMs: stored[3] ?? undefined };
    case "d":
      return { kind: "days", days: stored[2] };
    case "h": {
      const [base, baseMs, recent] = [decodeHeld(stored[2]), stored[3] ?? undefined, stored[4]];
      return { kind: "held", base, baseMs, recent };
    }
    case "s": {
      const [base, baseMs, recent] = [decodeSequence(stored[2]), stored[3] ?? undefined, stored[4]];
      return { kind: "sequence", base, baseMs, recent };
    }
    default:
      return decodeFactsV1(stored);
  }
}

function decodeFactsV1([, total, firstMs, , newest]: StoredFactsV1): AnyFacts {
  return { kind: "count", total, first: total > newest.length ? [firstMs, ""] : newest.at(-1), newest };
}

function encodeHeld({ lastMs, thenNotLastMs, since }: HeldOutcome): StoredHeld {
  return [lastMs ?? null, thenNotLastMs ?? null, since ?? null];
}

function decodeHeld([lastMs, thenNotLastMs, since]: StoredHeld): HeldOutcome {
  return {
    lastMs: lastMs ?? undefined,
    thenNotLastMs: thenNotLastMs ?? undefined,
    since: since ?? undefined,
  };
}

function encodeSequence({ reached, completed }: SequenceOutcome): StoredSequence {
  // `map` would skip steps that were never reached.
  const stored = Array.from(reached, (one): StoredReached | null =>
    one === undefined ? null : [one.chain, one.atMs, one.before ?? null],
  );
  return [stored, completed ?? null];
}

function decodeSequence([reached, completed]: StoredSequence): SequenceOutcome {
  return {
    reached: reached.map((one) =>
      one === null ? undefined : { chain: one[0], atMs: one[1], before: one[2] ?? undefined },
    ),
    completed: completed ?? undefined,
  };
}

function encodeScheduledEvent({ instant, matcherKeys, values }: ScheduledEvent): StoredScheduledEvent {
  const [ms, eventId] = instant;
  return values === undefined ? [ms, eventId, matcherKeys] : [ms, eventId, matcherKeys, [...values]];
}

function decodeScheduledEvent([ms, eventId, matcherKeys, values]: StoredScheduledEvent): ScheduledEvent {
  return { instant: [ms, eventId], matcherKeys, values: values === undefined ? undefined : new Map(values) };
}
