// Names the locations from which this service removes data of erased profiles, as receipts show them.
/** Public: receipts of erasures list these names. */
export const locations = {
  states: "segments.profile_states",
  memberships: "segments.memberships",
  outbox: "segments.outbox_messages",
  deadLetters: "segments.dead_letters",
  responses: "segments.idempotency_responses",
  stream: "segments.stream",
} as const;

/** A receipt lists every location, so counts start at 0. */
export const ZERO_COUNTS = Object.fromEntries(Object.values(locations).map((location) => [location, 0]));
