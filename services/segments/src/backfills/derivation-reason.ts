// Names why a single profile is rebuilt from its raw events. Pure.

/**
 * In order: the facts are stale; the profile absorbed another one or was separated from it; the profile was
 * merged into another one; the profile was erased. For the last three, the message has been applied.
 * Invariant: rows store the index, so the order never changes.
 */
export const REASONS = ["doubt", "merge", "merged", "erased"] as const;
export type DerivationReason = (typeof REASONS)[number];
