// Names why a single profile is rebuilt from its raw events. Pure.

/**
 * In order: stale facts; a profile that absorbed or lost a merged profile; a profile that was merged away; an
 * erased profile. Except for stale facts, the message has been applied. Invariant: rows store the index, so
 * the order never changes.
 */
export const REBUILD_REASONS = ["stale", "identity_changed", "merged", "erased"] as const;
export type RebuildReason = (typeof REBUILD_REASONS)[number];
