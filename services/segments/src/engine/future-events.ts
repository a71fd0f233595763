// Events dated after now, as a profile keeps them until they come due.
import type { FactEvent } from "./any-facts.ts";
import type { Definitions } from "./definitions.ts";
import type { ProfileState } from "./profile-state.ts";

/** An event dated after now: it counts from its instant on. */
export interface FutureEvent extends FactEvent {
  /** The matchers it feeds. */
  readonly matcherKeys: readonly string[];
}

/** Future events that one profile keeps; the others are read again when they come due. */
export const FUTURE_EVENTS_MAX = 32;

/** In the order in which they come due. One that finds no room is read again when it does, and missed until then. */
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
