// Marks errors whose messages logs may show.

/**
 * An error whose message consists of fixed text and of ids and names of Muster's own objects, so a log shows
 * the message. For any other error, which may quote a statement's values or user-supplied text, a log shows
 * only type, codes and stack.
 */
export abstract class PlainError extends Error {}
