// Chooses the event names that a scan reads: those of all rules, or those of the backfilled rules alone.
import { factsOfLeaf } from "../engine/facts/fact-spec.ts";
import { leavesOf } from "../engine/rule/rule.ts";
import type { Definitions } from "../engine/state/definitions.ts";
import { ALL_EVALUATIONS, type Backfill } from "./backfill-store.ts";
import type { RebuildTask } from "./rebuild-planner.ts";

/** Event names in the filter of a scan; with more, all events are read. */
const EVENT_NAMES_MAX = 10_000;

export interface ScanScope {
  /** Empty means all events. */
  readonly eventNames: readonly string[];
  readonly withoutEvents: boolean;
  /** The keys of the facts whose events are all read; undefined means every fact. */
  readonly factKeys: ReadonlySet<string> | undefined;
}

/** Undefined if no rule reads events or profiles. */
export function wholeScopeOf(definitions: Definitions): ScanScope | undefined {
  const eventNames = definitions.eventNames();
  const common = { withoutEvents: false, factKeys: undefined };
  if (eventNames === "every" || eventNames.length > EVENT_NAMES_MAX) return { ...common, eventNames: [] };
  if (eventNames.length > 0) return { ...common, eventNames };
  return definitions.readsProfiles ? { ...common, eventNames, withoutEvents: true } : undefined;
}

/** The scope of the rules that the task backfills. Undefined if the task needs all events, or gains nothing. */
export function ownScopeOf(
  { profiles, backfills }: Pick<RebuildTask, "profiles" | "backfills">,
  definitions: Definitions,
): ScanScope | undefined {
  if ("ids" in profiles) return undefined;
  // A backfill behind the range does not advance, and needs no events now.
  const advancing = backfills.filter(({ afterProfileId }) => afterProfileId >= profiles.after);
  const names = namesOf(advancing, definitions);
  if (names === undefined || names.size > EVENT_NAMES_MAX) return undefined;
  const all = definitions.eventNames();
  if (all !== "every" && names.size >= all.length) return undefined;
  const factKeys = new Set<string>();
  for (const { spec } of definitions.facts) {
    const isRead = spec.matchers.every(({ eventName }) => eventName !== undefined && names.has(eventName));
    if (isRead) factKeys.add(spec.key);
  }
  return { eventNames: [...names], withoutEvents: names.size === 0, factKeys };
}

/** Undefined if a rule reads events of any name. */
function namesOf(backfills: readonly Backfill[], definitions: Definitions): Set<string> | undefined {
  const names = new Set<string>();
  for (const { evaluationId } of backfills) {
    if (evaluationId === ALL_EVALUATIONS) return undefined;
    const rule = definitions.segments.get(evaluationId)?.rule;
    const leaves = rule === undefined ? [] : leavesOf(rule);
    for (const { matchers } of leaves.flatMap((leaf) => factsOfLeaf(leaf))) {
      for (const { eventName } of matchers) {
        if (eventName === undefined) return undefined;
        names.add(eventName);
      }
    }
  }
  return names;
}
