// Why single profiles are read again from their raw events. Pure.

/**
 * Its facts are in doubt; it stands for others too, or no longer does; it was merged into another, or erased, and
 * the message that says so has come. Invariant: stored by their places here.
 */
export const REASONS = ["doubt", "merge", "merged", "erased"] as const;
export type DerivationReason = (typeof REASONS)[number];
