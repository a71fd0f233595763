// Defines erasures: the receipt and the remaining tasks. Pure.
import type { OrganizationId, ProfileId } from "@muster/core";

/** Response metadata with the id of the receipt. The `response_headers` option of the methods names it too. */
export const ERASURE_ID_HEADER = "muster-erasure-id";

/** The key of a receipt. */
export interface ErasureKey {
  readonly organizationId: OrganizationId;
  /** UUIDv7. */
  readonly id: string;
}

/** The receipt: how much was removed from which location. A receipt contains ids and counts only. */
export interface Erasure extends ErasureKey {
  readonly createMs: number;
  /** Undefined while the erasure is running. */
  readonly completeMs: number | undefined;
  readonly profileIds: readonly ProfileId[];
  /** Counts of all erased profiles together, ordered by location. */
  readonly locations: readonly RemovedCount[];
}

/** The number of removed rows, messages or responses in one location. */
export interface RemovedCount {
  readonly location: string;
  readonly count: number;
}

/** Stages of a task. Invariant: the numbers never change, because stored rows contain them. */
export const stages = {
  /** Rows about the profile are not yet deleted or rewritten. */
  rows: 0,
  /** The tables are clean; the broker still holds copies. */
  broker: 1,
  /** No location of this service holds data about the profile. */
  done: 2,
} as const;

/** The remaining work for one profile of an erased person. */
export interface ErasureTask {
  readonly erasure: ErasureKey;
  readonly shard: number;
  readonly profileId: ProfileId;
  /**
   * The profile is a merge target: another person, into which the erased profile was merged in the past. Only
   * the published messages of the shard change.
   */
  readonly isMergeTarget: boolean;
  /** The shard published no message about the person after this position. */
  readonly position: number;
}

/** The locations that every receipt lists. */
export const locations = {
  profiles: "events.profiles",
  identities: "events.profile_identities",
  trackedEvents: "events.tracked_events",
  undatedIds: "events.undated_event_ids",
  responses: "events.idempotency_responses",
  outbox: "events.outbox_messages",
  stream: "events.stream",
} as const;
