// Stores events dated after now in the profile's state until their instant.
import type { FactEvent } from "./any-facts.ts";
import type { Definitions } from "./definitions.ts";
import type { ProfileState } from "./profile-state.ts";

/** An event dated after now. The event counts from that instant on. */
export interface FutureEvent extends FactEvent {
  /** The matchers that the event matches. */
  readonly matcherKeys: readonly string[];
}

/**
 * Most scheduled events in one profile's state. Further events are read from the raw events when they come
 * due.
 */
export const FUTURE_EVENTS_MAX = 32;

/**
 * Keeps scheduled events in the order in which they come due. When the list is full, the latest event is
 * dropped and the profile is rebuilt when that event comes due.
 */
export function keepFuture(
  state: ProfileState,
  definitions: Definitions,
  future: FutureEvent,
  futuresMax: number,
): void {
  const { futures } = state;
  const index = futures.findIndex(({ instant }) => instant[0] > future.instant[0]);
  futures.splice(index < 0 ? futures.length : index, 0, future);
  if (futures.length <= futuresMax) return;
  const dropped = futures.pop();
  if (dropped === undefined) return;
  state.droppedMs = Math.min(state.droppedMs ?? Number.POSITIVE_INFINITY, dropped.instant[0]);
  for (const matcherKey of dropped.matcherKeys) {
    for (const { fact } of definitions.tracked(matcherKey)?.feeds ?? []) state.lacking.add(fact.spec.key);
  }
}
