// What an erasure is: its receipt, and what is left to do of it. Pure.
import type { OrganizationId, ProfileId } from "@muster/core";

export interface ErasureKey {
  readonly organizationId: OrganizationId;
  /** UUIDv7. */
  readonly id: string;
}

/** The receipt: what was removed, and where. Nothing of the person but ids. */
export interface Erasure extends ErasureKey {
  readonly createMs: number;
  /** Undefined: it is running. */
  readonly completeMs: number | undefined;
  readonly profileIds: readonly ProfileId[];
  /** By name; counts of all the person's profiles together. */
  readonly places: readonly PlaceCount[];
}

export interface PlaceCount {
  readonly place: string;
  readonly count: number;
}

/** Steps of a task. Invariant: never change, for rows are kept by them. */
export const stages = {
  /** Rows that speak of the profile are to be deleted or rewritten. */
  rows: 0,
  /** Nothing is left in our tables; the broker is to forget its copies. */
  broker: 1,
  /** Nothing is left anywhere that this service wrote to. */
  done: 2,
} as const;

/** What is left to do about one profile of an erased person. */
export interface ErasureTask {
  readonly erasure: ErasureKey;
  readonly shard: number;
  readonly profileId: ProfileId;
  /** The profile is another's, who stood for the person in the past: only what its shard announced is touched. */
  readonly isFormerRoot: boolean;
  /** The shard has announced nothing of the person after this position. */
  readonly position: number;
}

/** The places that every receipt names. */
export const places = {
  profiles: "events.profiles",
  identities: "events.profile_identities",
  trackedEvents: "events.tracked_events",
  undatedIds: "events.undated_event_ids",
  answers: "events.idempotency_answers",
  outbox: "events.outbox_messages",
  stream: "events.stream",
} as const;
