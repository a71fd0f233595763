// Units of work of a rebuild. A unit is about a microsecond of processor time.

/** Applying an event to the facts of a few rules. */
export const EVENT_UNITS = 10;
/** A profile with more events continues on a thread. */
export const MAIN_THREAD_EVENTS_MAX = 5_000;
