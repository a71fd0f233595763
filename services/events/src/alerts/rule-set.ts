// All rules of an organisation, made ready for judging: which events they look at, and which series of a
// person's past they need. Pure.
import { hash } from "node:crypto";
import type { AlertRule } from "./alert-rule.ts";

/** How a series is kept: its newest actions one by one, or sums by time. */
export type SeriesForm = "newest" | "sums";

/** What is kept of the past of each person's events of one name. */
export interface Series {
  /** Eight bytes in hex. Another one when keeping it was interrupted, so that no rule sees a past with holes. */
  readonly id: string;
  readonly form: SeriesForm;
  readonly eventName: string;
  readonly property: string | undefined;
}

/** Of the events of one name. */
export interface NamedRules {
  /** The properties that rules judge. */
  readonly properties: ReadonlySet<string>;
  /** Judged on such an event, by code. */
  readonly judged: readonly PreparedRule[];
  /** The series that such an event belongs to. */
  readonly series: readonly Series[];
}

export interface PreparedRule extends AlertRule {
  /** What it needs of the past; the series of its own event first. */
  readonly past: readonly Series[];
}

/** By the series' own keys: since which version of the rules it is kept, and when that was. */
export type SeriesSince = Readonly<Record<string, { readonly version: number; readonly ms: number }>>;

export interface RuleSet {
  readonly version: number;
  /** Disabled ones too, by code. */
  readonly rules: readonly AlertRule[];
  readonly since: SeriesSince;
  /** By the names of the events that enabled rules look at. */
  readonly byEventName: ReadonlyMap<string, NamedRules>;
}

export function ruleSet(version: number, rules: readonly AlertRule[], since: SeriesSince): RuleSet {
  const byCode = [...rules].sort((a, b) => a.code - b.code);
  const enabled = byCode.filter(({ isEnabled }) => isEnabled);
  const byEventName = new Map<
    string,
    { properties: Set<string>; judged: PreparedRule[]; series: Series[] }
  >();
  const named = (name: string) => {
    const found = byEventName.get(name) ?? { properties: new Set(), judged: [], series: [] };
    byEventName.set(name, found);
    return found;
  };
  const known = new Map<string, Series>();
  for (const rule of enabled) {
    const past = seriesOf(rule).map((one) => {
      const key = keyOf(one);
      const series = known.get(key) ?? { ...one, id: idOf(key, since[key]?.version ?? 0) };
      if (!known.has(key)) named(one.eventName).series.push(series);
      known.set(key, series);
      return series;
    });
    for (const name of [rule.eventName, ...rule.otherEventNames]) {
      if (rule.property !== undefined) named(name).properties.add(rule.property);
    }
    named(rule.eventName).judged.push({ ...rule, past });
  }
  return { version, rules: byCode, since, byEventName };
}

/** Since when each series is kept once these are the rules: what was kept before goes on. */
export function seriesSince(
  before: RuleSet,
  rules: readonly AlertRule[],
  now: { readonly version: number; readonly ms: number },
): SeriesSince {
  const kept = new Set(seriesKeysOf(before.rules));
  const since: Record<string, { readonly version: number; readonly ms: number }> = {};
  for (const key of seriesKeysOf(rules)) {
    const sinceBefore = before.since[key];
    if (!kept.has(key)) since[key] = now;
    // What is kept and not there is kept from the start.
    else if (sinceBefore !== undefined) since[key] = sinceBefore;
  }
  return since;
}

/** Since when the past is kept that a rule looks at; undefined where that is from the start, or it needs none. */
export function keptSince(rule: AlertRule, since: SeriesSince): number | undefined {
  const starts = seriesOf(rule).flatMap((series) => since[keyOf(series)]?.ms ?? []);
  return rule.isEnabled && starts.length > 0 ? Math.max(...starts) : undefined;
}

function seriesKeysOf(rules: readonly AlertRule[]): string[] {
  const enabled = rules.filter(({ isEnabled }) => isEnabled);
  return enabled.flatMap(seriesOf).map(keyOf);
}

function seriesOf(rule: AlertRule): Omit<Series, "id">[] {
  const { kind, property, eventName, otherEventNames } = rule;
  switch (kind) {
    case "threshold":
      return [];
    case "window_sum":
      return [{ form: "sums", eventName, property }];
    case "rising":
      return [{ form: "newest", eventName, property }];
    case "consecutive":
      return [eventName, ...otherEventNames].map((name) => ({ form: "newest", eventName: name, property }));
  }
}

function keyOf({ form, eventName, property }: Omit<Series, "id">): string {
  return JSON.stringify([form, eventName, property ?? null]);
}

function idOf(key: string, sinceVersion: number): string {
  return hash("sha256", `${sinceVersion}/${key}`, "hex").slice(0, 16);
}
