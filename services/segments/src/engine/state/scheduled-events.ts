// Stores events dated after now in the profile's state until their instant.
import type { FactEvent } from "../facts/any-facts.ts";
import type { Definitions } from "./definitions.ts";
import type { ProfileState } from "./profile-state.ts";

/** An event dated after now. The event counts from that instant on. */
export interface ScheduledEvent extends FactEvent {
  /** The matchers that the event matches. */
  readonly matcherKeys: readonly string[];
}

/**
 * Most scheduled events in one profile's state. Further events are read from the raw events when they come
 * due.
 */
export const SCHEDULED_EVENTS_MAX = 32;

/**
 * Keeps scheduled events in the order in which they come due. When the list is full, the latest event is
 * dropped and the profile is rebuilt when that event comes due.
 */
export function scheduleEvent(
  state: ProfileState,
  definitions: Definitions,
  scheduled: ScheduledEvent,
  scheduledEventsMax: number,
): void {
  const { scheduledEvents } = state;
  const index = scheduledEvents.findIndex(({ instant }) => instant[0] > scheduled.instant[0]);
  scheduledEvents.splice(index < 0 ? scheduledEvents.length : index, 0, scheduled);
  if (scheduledEvents.length <= scheduledEventsMax) return;
  const dropped = scheduledEvents.pop();
  if (dropped === undefined) return;
  state.rebuildDueMs = Math.min(state.rebuildDueMs ?? Number.POSITIVE_INFINITY, dropped.instant[0]);
  for (const matcherKey of dropped.matcherKeys) {
    for (const { fact } of definitions.tracked(matcherKey)?.targets ?? [])
      state.incompleteFacts.add(fact.spec.key);
  }
}
