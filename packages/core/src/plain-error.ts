// What logs may show of errors is decided where their messages are written.

/**
 * An error whose message consists of our own words, and of ids and names of our own things: a log shows it.
 * Of any other error, which may quote a statement's values or a person's text, a log shows type, codes and stack.
 */
export abstract class PlainError extends Error {}
