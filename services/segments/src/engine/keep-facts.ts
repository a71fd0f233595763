// What a profile read again from its raw events keeps of the facts it had, where retention has removed raw events:
// facts that were folded while those were there know more than what is left. Pure.
import type { AnyFacts } from "./any-facts.ts";
import type { Definitions, TrackedFact } from "./definitions.ts";
import type { DaysSpec, FactSpec, ValuesSpec } from "./fact-spec.ts";
import type { Facts, Instant } from "./facts.ts";
import { advanceHeld, type HeldFacts, type HeldOutcome } from "./held-facts.ts";
import { type Advance, outcomeOf } from "./ordered-facts.ts";
import type { ProfileState } from "./profile-state.ts";
import {
  advanceSequence,
  type SequenceFacts,
  type SequenceOutcome,
  type SequencePlan,
} from "./sequence-facts.ts";
import type { Tally } from "./value-facts.ts";

export interface Recollection {
  /** All that happened from then on is among the raw events. */
  readonly completeSinceMs: number;
  readonly nowMs: number;
  /** The profile as it was, caught up with the snapshot of the raw events. Undefined: it is another person now. */
  readonly kept: ProfileState | undefined;
  /** Any of its facts may lack an event that is among the raw ones. */
  readonly isDoubted: boolean;
  /** Whether the fact was kept before; one that is new knows the raw events alone. */
  isKnown(fact: TrackedFact): boolean;
}

/** Clocks of two replicas may differ by this: an event may seem older than its profile. */
const CLOCK_MARGIN_MS = 60_000;
const DAY_MS = 86_400_000;

/** Whether no event of the profile can be missing: it was made after the last that may have been removed. */
export function isRemembered(createMs: number | undefined, completeSinceMs: number): boolean {
  return completeSinceMs <= 0 || (createMs !== undefined && createMs - CLOCK_MARGIN_MS >= completeSinceMs);
}

/** Adds to `fresh`, which holds what the raw events say, what only the kept facts know. */
export function recollect(fresh: ProfileState, definitions: Definitions, recollection: Recollection): void {
  const { completeSinceMs, nowMs, kept, isDoubted } = recollection;
  if (isRemembered(fresh.createMs, completeSinceMs)) return;
  for (const fact of definitions.facts) {
    const { spec } = fact;
    const { key } = spec;
    if (spec.kind === "values" || spec.kind === "days") {
      // Only windows that move read them, and those look no further back than the raw events go; but when more
      // are to be kept from now on, it takes that long until more are there.
      if (nowMs - keptMs(spec) < completeSinceMs) fresh.completeSince.set(key, completeSinceMs);
      continue;
    }
    const found = fresh.facts.get(key);
    if (kept === undefined) fresh.completeSince.set(key, completeSinceMs);
    else if (!recollection.isKnown(fact)) {
      // What was folded since its rule is there may be less than is left, and must not be more.
      const counted = spec.kind === "count" || spec.kind === "tally" ? kept.facts.get(key) : undefined;
      const both = unite(spec, counted, found, false);
      if (both === undefined) continue;
      fresh.facts.set(key, both);
      fresh.completeSince.set(key, completeSinceMs);
    } else {
      const isWhole = !isDoubted && !kept.lacking.has(key);
      const both = unite(spec, kept.facts.get(key), found, isWhole);
      if (both !== undefined) fresh.facts.set(key, both);
      const since = isWhole ? kept.completeSince.get(key) : completeSinceMs;
      if (since !== undefined) fresh.completeSince.set(key, since);
    }
  }
}

function keptMs(spec: ValuesSpec | DaysSpec): number {
  return spec.kind === "values" ? spec.keepMs : spec.days * DAY_MS;
}

/** `isWhole`: the kept ones hold every event that they are of, so that the others add instants at most. */
function unite(
  spec: FactSpec,
  kept: AnyFacts | undefined,
  found: AnyFacts | undefined,
  isWhole: boolean,
): AnyFacts | undefined {
  if (kept === undefined || found === undefined) return kept ?? found;
  if (spec.kind === "count" && kept.kind === "count" && found.kind === "count") {
    return uniteCounts(kept, found, spec.depth);
  }
  if (kept.kind === "tally" && found.kind === "tally") return largerTally(kept, found);
  if (kept.kind === "held" && found.kind === "held") return isWhole ? kept : uniteHeld(kept, found);
  if (spec.kind === "sequence" && kept.kind === "sequence" && found.kind === "sequence") {
    return uniteSequences(kept, found, spec.plan, isWhole);
  }
  return found;
}

/** Invariant: never fewer than were counted once. */
function uniteCounts(kept: Facts, found: Facts, depth: number): Facts {
  const newest = newestOf(kept.newest, found.newest).slice(0, depth);
  return {
    kind: "count",
    total: Math.max(kept.total, found.total, newest.length),
    first: earlierOf(kept.first, found.first),
    newest,
  };
}

/** Numbers can't be told apart, so one of the two it is. */
function largerTally(kept: Tally, found: Tally): Tally {
  return kept.count >= found.count ? kept : found;
}

/** The last B that either knows decides; of the As after it the first that either knows. */
function uniteHeld(kept: HeldFacts, found: HeldFacts): HeldFacts {
  const [one, other] = [outcomeOf(kept, advanceHeld), outcomeOf(found, advanceHeld)];
  const thenNotLastMs = latest(one.thenNotLastMs, other.thenNotLastMs);
  const isAfter = (since: Instant | undefined): Instant | undefined =>
    since === undefined || thenNotLastMs === undefined || since[0] > thenNotLastMs ? since : undefined;
  const united: HeldOutcome = {
    lastMs: latest(one.lastMs, other.lastMs),
    thenNotLastMs,
    since: earlierOf(isAfter(one.since), isAfter(other.since)),
  };
  if (united.since?.[0] === other.since?.[0] && thenNotLastMs === other.thenNotLastMs) return found;
  // Where they differ nothing earlier than all of it can be placed any more.
  const ends = [kept.baseMs, found.baseMs, kept.recent.at(-1)?.[0], found.recent.at(-1)?.[0]];
  return { kind: "held", base: united, baseMs: ends.reduce(latest), recent: [] };
}

/**
 * A chain that can still be completed, or that a moving window asks for, lies where all raw events are. Only one
 * that was completed for ever may be older.
 */
function uniteSequences(
  kept: SequenceFacts,
  found: SequenceFacts,
  plan: SequencePlan,
  isWhole: boolean,
): SequenceFacts {
  if (!plan.isForEver) return found;
  if (isWhole) return kept;
  const advance: Advance<SequenceOutcome> = (outcome, instant, marks) =>
    advanceSequence(outcome, instant, marks, plan);
  const completed = outcomeOf(found, advance).completed ?? outcomeOf(kept, advance).completed;
  return completed === undefined ? found : { ...found, base: { ...found.base, completed } };
}

/** Two lists, newest first, as one; each event once. */
function newestOf(a: readonly Instant[], b: readonly Instant[]): Instant[] {
  const byId = new Map([...a, ...b].map((instant) => [`${instant[0]}/${instant[1]}`, instant]));
  return [...byId.values()].sort((one, other) => compareInstants(other, one));
}

function earlierOf(a: Instant | undefined, b: Instant | undefined): Instant | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return compareInstants(a, b) <= 0 ? a : b;
}

function compareInstants(a: Instant, b: Instant): number {
  return a[0] - b[0] || (a[1] < b[1] ? -1 : a[1] > b[1] ? 1 : 0);
}

function latest(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return Math.max(a, b);
}
