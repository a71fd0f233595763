// Prepares the alert rules of an organization for evaluation: the event names and the history series of each
// rule. Pure.
import { hash } from "node:crypto";
import type { AlertRule } from "./alert-rule.ts";

/** A series stores the newest actions one by one, or sums by time. */
export type SeriesForm = "newest" | "sums";

/** The history of the events with one name and one property. */
export interface Series {
  /**
   * Eight bytes in hex. An interrupted series gets another id, so that no rule reads an incomplete history.
   */
  readonly id: string;
  readonly form: SeriesForm;
  readonly eventName: string;
  readonly property: string | undefined;
}

/** The rules and series for events of one name. */
export interface EventRules {
  /** The properties that rules evaluate. */
  readonly properties: ReadonlySet<string>;
  /** Rules that an event of this name triggers, by code. */
  readonly evaluated: readonly PreparedRule[];
  /** The series that contain events of this name. */
  readonly series: readonly Series[];
}

/** A rule together with the series of the history. */
export interface PreparedRule extends AlertRule {
  /** The series that the rule reads; the series of the triggering event comes first. */
  readonly neededSeries: readonly Series[];
}

/** By series key: the first rule set version that recorded the series, and the instant of that version. */
export type SeriesStarts = Readonly<Record<string, { readonly version: number; readonly ms: number }>>;

/** All alert rules of an organization at one version. */
export interface RuleSet {
  readonly version: number;
  /** All rules by code, disabled rules included. */
  readonly rules: readonly AlertRule[];
  readonly seriesStarts: SeriesStarts;
  /** By event name, for all names in enabled rules. */
  readonly byEventName: ReadonlyMap<string, EventRules>;
}

/** Prepares the enabled rules of a version. */
export function ruleSet(version: number, rules: readonly AlertRule[], seriesStarts: SeriesStarts): RuleSet {
  const byCode = [...rules].sort((a, b) => a.code - b.code);
  const enabled = byCode.filter(({ isEnabled }) => isEnabled);
  const byEventName = new Map<
    string,
    { properties: Set<string>; evaluated: PreparedRule[]; series: Series[] }
  >();
  const rulesFor = (name: string) => {
    const found = byEventName.get(name) ?? { properties: new Set(), evaluated: [], series: [] };
    byEventName.set(name, found);
    return found;
  };
  const known = new Map<string, Series>();
  for (const rule of enabled) {
    const neededSeries = seriesOf(rule).map((one) => {
      const key = keyOf(one);
      const series = known.get(key) ?? { ...one, id: idOf(key, seriesStarts[key]?.version ?? 0) };
      if (!known.has(key)) rulesFor(one.eventName).series.push(series);
      known.set(key, series);
      return series;
    });
    for (const name of [rule.eventName, ...rule.otherEventNames]) {
      if (rule.property !== undefined) rulesFor(name).properties.add(rule.property);
    }
    rulesFor(rule.eventName).evaluated.push({ ...rule, neededSeries });
  }
  return { version, rules: byCode, seriesStarts, byEventName };
}

/** Returns the start of each series under the new rules; series of the previous rules continue. */
export function seriesStartsOf(
  before: RuleSet,
  rules: readonly AlertRule[],
  now: { readonly version: number; readonly ms: number },
): SeriesStarts {
  const kept = new Set(seriesKeysOf(before.rules));
  const seriesStarts: Record<string, { readonly version: number; readonly ms: number }> = {};
  for (const key of seriesKeysOf(rules)) {
    const startBefore = before.seriesStarts[key];
    if (!kept.has(key)) seriesStarts[key] = now;
    // A continued series without a start exists from the first event.
    else if (startBefore !== undefined) seriesStarts[key] = startBefore;
  }
  return seriesStarts;
}

/**
 * Returns the instant since which the history of the rule is complete. Undefined when the rule needs no
 * history or the history is complete from the first event.
 */
export function historyStartMs(rule: AlertRule, seriesStarts: SeriesStarts): number | undefined {
  const starts = seriesOf(rule).flatMap((series) => seriesStarts[keyOf(series)]?.ms ?? []);
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

function idOf(key: string, startVersion: number): string {
  return hash("sha256", `${startVersion}/${key}`, "hex").slice(0, 16);
}
