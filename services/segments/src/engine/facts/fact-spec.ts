// Specifies the facts that leaves read: what a profile keeps, and which matchers change it. Leaves with equal
// specs share one fact.
import type { Predicate } from "../../predicates/predicate.ts";
import { type Matcher, matcherOf, stableKey } from "../rule/matcher.ts";
import {
  type Aggregate,
  depthOf,
  type Leaf,
  type Performed,
  type Sequence,
  type Window,
} from "../rule/rule.ts";
import { spanMsMax } from "../rule/window.ts";
import type { SequencePlan } from "./sequence-facts.ts";

export type FactSpec = CountSpec | TallySpec | ValuesSpec | DaysSpec | HeldSpec | SequenceSpec;

interface BaseSpec {
  /** Equal for specs that can share a fact. Facts are stored under this key. */
  readonly key: string;
  /** The matchers whose events change the fact. The index of a matcher is its bit in `matcherBits`. */
  readonly matchers: readonly Matcher[];
}

/** Instants in [fromMs, toMs). */
export interface Range {
  readonly fromMs: number;
  readonly toMs: number;
}

export interface CountSpec extends BaseSpec {
  readonly kind: "count";
  /** Number of newest instants that are kept. */
  readonly depth: number;
  /** Only events in this range count. */
  readonly range: Range | undefined;
}

export interface TallySpec extends BaseSpec {
  readonly kind: "tally";
  readonly property: string;
  readonly range: Range | undefined;
}

export interface ValuesSpec extends BaseSpec {
  readonly kind: "values";
  readonly property: string;
  /** Numbers older than this are in no window. */
  readonly keepMs: number;
}

export interface DaysSpec extends BaseSpec {
  readonly kind: "days";
  readonly timeZone: string;
  /** Number of newest days that are kept. */
  readonly days: number;
}

export interface HeldSpec extends BaseSpec {
  readonly kind: "held";
}

export interface SequenceSpec extends BaseSpec {
  readonly kind: "sequence";
  readonly plan: SequencePlan;
}

/** Newest instants that are kept only to explain the result. */
const EXPLAINED_INSTANTS = 10;
const ANY_EVENT = matcherOf(undefined);

const specsByLeaf = new WeakMap<Leaf<string>, readonly FactSpec[]>();

/** The facts that a leaf reads, in an order that depends on the kind of leaf. */
export function factsOfLeaf(leaf: Leaf<string>): readonly FactSpec[] {
  let specs = specsByLeaf.get(leaf);
  if (specs === undefined) {
    specs = specsOfLeaf(leaf);
    specsByLeaf.set(leaf, specs);
  }
  return specs;
}

const traitKeys = new WeakMap<Predicate, string>();

/** The key under which a profile stores whether a predicate on its traits holds. */
export function traitKeyOf(predicate: Predicate): string {
  let key = traitKeys.get(predicate);
  if (key === undefined) {
    key = stableKey(["trait", predicate.key]);
    traitKeys.set(predicate, key);
  }
  return key;
}

/** Merges two specs with the same key into one spec that serves both. */
export function mergeSpecs(a: FactSpec, b: FactSpec): FactSpec {
  if (a.kind === "count" && b.kind === "count") return { ...a, depth: Math.max(a.depth, b.depth) };
  if (a.kind === "values" && b.kind === "values") return { ...a, keepMs: Math.max(a.keepMs, b.keepMs) };
  if (a.kind === "days" && b.kind === "days") return { ...a, days: Math.max(a.days, b.days) };
  return a;
}

function specsOfLeaf(leaf: Leaf<string>): FactSpec[] {
  switch (leaf.kind) {
    case "performed":
      return [countOfPerformed(leaf)];
    case "performed_then_not":
      return leaf.heldForMs === 0
        ? [countSpec(leaf.matcher, 1), countSpec(leaf.thenNot, 1)]
        : [heldSpec(leaf.matcher, leaf.thenNot)];
    case "sequence":
      return [sequenceSpec(leaf)];
    case "inactive_for":
      return [countSpec(ANY_EVENT, 1)];
    case "aggregate":
      return [aggregateSpec(leaf)];
    case "occurrence":
      return [countSpec(leaf.matcher, 1)];
    case "active_days":
      return [daysSpec(leaf.matcher, leaf.timeZone, leaf.ofLastDays)];
    case "trait":
    case "in_segment":
      return [];
  }
}

function countOfPerformed(leaf: Performed): CountSpec {
  const { count, window, matcher } = leaf;
  if (window === undefined || window.kind === "between") {
    const shown = Math.max(1, Math.min(count.n, EXPLAINED_INSTANTS));
    return countSpec(matcher, shown, rangeOf(window));
  }
  return countSpec(matcher, depthOf(leaf));
}

function countSpec(matcher: Matcher, depth: number, range?: Range): CountSpec {
  const key = range === undefined ? matcher.key : stableKey(["count", matcher.key, range.fromMs, range.toMs]);
  return { kind: "count", key, matchers: [matcher], depth, range };
}

function rangeOf(window: Window | undefined): Range | undefined {
  return window?.kind === "between" ? window : undefined;
}

function heldSpec(matcher: Matcher, thenNot: Matcher): HeldSpec {
  return { kind: "held", key: stableKey(["held", matcher.key, thenNot.key]), matchers: [matcher, thenNot] };
}

function sequenceSpec({ steps, withinMs, window }: Sequence): SequenceSpec {
  const range = rangeOf(window);
  const plan: SequencePlan = {
    steps: steps.length,
    withinMs,
    completedFromMs: range?.fromMs ?? Number.NEGATIVE_INFINITY,
    completedToMs: range?.toMs ?? Number.POSITIVE_INFINITY,
    // A moving window needs the newest completion. Otherwise any completion is enough.
    isForEver: window === undefined || window.kind === "between",
  };
  const stepKeys = steps.map(({ key }) => key);
  const bounds = range === undefined ? [] : [range.fromMs, range.toMs];
  const key = stableKey(["sequence", stepKeys, withinMs, plan.isForEver, ...bounds]);
  return { kind: "sequence", key, matchers: steps, plan };
}

function aggregateSpec({ matcher, property, window }: Aggregate): TallySpec | ValuesSpec {
  const matchers = [matcher];
  if (window === undefined || window.kind === "between") {
    const range = rangeOf(window);
    const bounds = range === undefined ? [] : [range.fromMs, range.toMs];
    const key = stableKey(["tally", matcher.key, property, ...bounds]);
    return { kind: "tally", key, matchers, property, range };
  }
  const key = stableKey(["values", matcher.key, property]);
  return { kind: "values", key, matchers, property, keepMs: spanMsMax(window) };
}

function daysSpec(matcher: Matcher, timeZone: string, days: number): DaysSpec {
  const key = stableKey(["days", matcher.key, timeZone]);
  return { kind: "days", key, matchers: [matcher], timeZone, days };
}
