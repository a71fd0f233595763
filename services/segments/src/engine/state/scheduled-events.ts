// Defines scheduled events: events dated after now, which wait in the profile's state until their instant.
import type { FactEvent } from "../facts/any-facts.ts";

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
