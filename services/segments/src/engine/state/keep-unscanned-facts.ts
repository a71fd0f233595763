// Completes a state from the events of a few names by the facts of the stored state. Pure.
import type { Definitions } from "./definitions.ts";
import type { ProfileState } from "./profile-state.ts";
import { SCHEDULED_EVENTS_MAX, type ScheduledEvent } from "./scheduled-events.ts";

/**
 * Adds to `fresh` the facts with events outside the scan. Both states are of the same position. `scannedFacts` holds
 * the keys of completely scanned facts.
 */
export function keepUnscannedFacts(
  fresh: ProfileState,
  kept: ProfileState,
  definitions: Definitions,
  scannedFacts: ReadonlySet<string>,
  scheduledEventsMax = SCHEDULED_EVENTS_MAX,
): void {
  for (const { spec } of definitions.facts) {
    const { key } = spec;
    if (scannedFacts.has(key)) continue;
    replace(fresh.facts, key, kept.facts.get(key));
    replace(fresh.completeSince, key, kept.completeSince.get(key));
    if (kept.unknownKeys.has(key)) fresh.unknownKeys.add(key);
    else fresh.unknownKeys.delete(key);
  }
  keepOrder(fresh.facts, kept.facts);
  // A due rebuild stays due, with the facts that lack an event.
  for (const key of kept.incompleteFacts) fresh.incompleteFacts.add(key);
  lowerRebuildDue(fresh, kept.rebuildDueMs);
  mergeScheduledEvents(fresh, kept, definitions, scheduledEventsMax);
}

function replace<Value>(map: Map<string, Value>, key: string, value: Value | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}

/** Known facts stay in their order, so that an unchanged state has the same encoding. */
function keepOrder<Value>(map: Map<string, Value>, known: ReadonlyMap<string, Value>): void {
  const added = [...map].filter(([key]) => !known.has(key));
  const ordered = [...known.keys()].flatMap((key): [string, Value][] => {
    const value = map.get(key);
    return value === undefined ? [] : [[key, value]];
  });
  map.clear();
  for (const [key, value] of [...ordered, ...added]) map.set(key, value);
}

function lowerRebuildDue(state: ProfileState, dueMs: number | undefined): void {
  if (dueMs !== undefined) state.rebuildDueMs = Math.min(state.rebuildDueMs ?? dueMs, dueMs);
}

/** An event of both states may have different matchers: the stored state lacks the matchers of new rules. */
function mergeScheduledEvents(
  fresh: ProfileState,
  kept: ProfileState,
  definitions: Definitions,
  scheduledEventsMax: number,
): void {
  const byInstant = new Map<string, ScheduledEvent>();
  for (const event of [...kept.scheduledEvents, ...fresh.scheduledEvents]) {
    const key = event.instant.join("/");
    const known = byInstant.get(key);
    byInstant.set(key, known === undefined ? event : mergeEvents(known, event));
  }
  const events = [...byInstant.values()].sort((a, b) => a.instant[0] - b.instant[0]);
  for (const dropped of events.splice(scheduledEventsMax)) {
    lowerRebuildDue(fresh, dropped.instant[0]);
    for (const matcherKey of dropped.matcherKeys) {
      for (const { fact } of definitions.tracked(matcherKey)?.targets ?? [])
        fresh.incompleteFacts.add(fact.spec.key);
    }
  }
  fresh.scheduledEvents.splice(0, fresh.scheduledEvents.length, ...events);
}

function mergeEvents(a: ScheduledEvent, b: ScheduledEvent): ScheduledEvent {
  return {
    instant: a.instant,
    matcherKeys: [...new Set([...a.matcherKeys, ...b.matcherKeys])],
    values:
      a.values === undefined && b.values === undefined
        ? undefined
        : new Map([...(a.values ?? []), ...(b.values ?? [])]),
  };
}
