// Names the broadcast topics between the processes of this service.

/** Broadcast when work was added or a reader waits for it, so that owners check at once. */
export const WORK_TOPIC = "segments.work";
/** Broadcast by owners after finishing work that a reader may wait for. */
export const WORK_DONE_TOPIC = "segments.work-done";
