// The places from which this service removes what it knows of an erased person, as receipts name them.
export const places = {
  states: "segments.profile_states",
  memberships: "segments.memberships",
  outbox: "segments.outbox_messages",
  deadLetters: "segments.dead_letters",
  answers: "segments.idempotency_answers",
  stream: "segments.stream",
} as const;

/** A receipt names them all. */
export const NOTHING_REMOVED = Object.fromEntries(Object.values(places).map((place) => [place, 0]));
