// Names the broadcast topics between the processes of this service.

/** Broadcast after outbox messages were rewritten, so that holders of copies drop the copies. */
export const ERASED_TOPIC = "events.erased";
