// Names the locations from which this service removes data of erased profiles, as receipts show them.
/** Public: receipts of erasures list these names. */
export const places = {
  states: "segments.profile_states",
  memberships: "segments.memberships",
  outbox: "segments.outbox_messages",
  deadLetters: "segments.dead_letters",
  answers: "segments.idempotency_answers",
  stream: "segments.stream",
} as const;

/** A receipt lists every location, so counts start at 0. */
export const NOTHING_REMOVED = Object.fromEntries(Object.values(places).map((place) => [place, 0]));
