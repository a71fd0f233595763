// Declares the stored data that the planner of a batch needs: the owners of identities and possible
// duplicates. Also collects the keys to load.
import type { OrganizationId, TrackedEventId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { dayOf, type TrackedEvent } from "../event-storage/tracked-event.ts";
import type { IdentityVersions } from "../identity-graph/identity-versions-store.ts";
import type { ProfileLink } from "../profile-storage/profile.ts";
import type { Submission } from "./submission.ts";

/** The context of one organization. The planner adds the profiles and events that the batch creates. */
export interface OrganizationContext {
  readonly user_id: Map<string, ProfileLink>;
  readonly anonymous_id: Map<string, ProfileLink>;
  readonly profile_id: Map<string, ProfileLink>;
  /** Stored events with an id of the batch, by id. */
  readonly eventsById: Map<TrackedEventId, TrackedEvent>;
  /** Stored events with a client id but without a client time, by client id. */
  readonly eventsByUndatedId: Map<string, TrackedEvent>;
  /** Ids of erased events; client ids of erased events without a client time. */
  readonly erasedIds: Set<TrackedEventId>;
  readonly erasedUndatedIds: Set<string>;
}

/** The stored data of a batch by organization. */
export type BatchContext = Map<OrganizationId, OrganizationContext>;

/** The keys to which the events of one organization refer. */
export interface BatchKeys {
  readonly user_id: Set<string>;
  readonly anonymous_id: Set<string>;
  readonly profile_id: Set<string>;
  readonly datedIdsByDay: Map<number, Set<TrackedEventId>>;
  readonly undatedIds: Set<string>;
}

/** The erased ids among the keys of one organization. */
export interface ErasedIds {
  readonly ids: ReadonlySet<TrackedEventId>;
  readonly undatedIds: ReadonlySet<string>;
}

/** Finds erased events among the events of a batch. The erasure feature implements this interface. */
export interface ErasedEventFinder {
  /**
   * Returns the erased ids by organization; organizations without erased ids are omitted. The same
   * transaction read `versions` before.
   */
  find(
    trx: Transaction,
    keys: ReadonlyMap<OrganizationId, BatchKeys>,
    versions: IdentityVersions,
  ): Promise<Map<OrganizationId, ErasedIds>>;
}

/** Returns a context without stored data. */
export function emptyContext(): OrganizationContext {
  return {
    user_id: new Map(),
    anonymous_id: new Map(),
    profile_id: new Map(),
    eventsById: new Map(),
    eventsByUndatedId: new Map(),
    erasedIds: new Set(),
    erasedUndatedIds: new Set(),
  };
}

/** Collects the keys of all submissions by organization. */
export function collectKeys(submissions: readonly Submission[]): Map<OrganizationId, BatchKeys> {
  const byOrganization = new Map<OrganizationId, BatchKeys>();
  for (const { organizationId, events } of submissions) {
    let keys = byOrganization.get(organizationId);
    if (keys === undefined) {
      keys = emptyKeys();
      byOrganization.set(organizationId, keys);
    }
    for (const event of events) {
      keys[event.identityKind].add(event.identity);
      if (event.repeatedBy === "id") addToDay(keys.datedIdsByDay, dayOf(event.occurredMs), event.id);
      else if (event.clientEventId !== undefined) keys.undatedIds.add(event.clientEventId);
    }
  }
  return byOrganization;
}

function emptyKeys(): BatchKeys {
  return {
    user_id: new Set(),
    anonymous_id: new Set(),
    profile_id: new Set(),
    datedIdsByDay: new Map(),
    undatedIds: new Set(),
  };
}

function addToDay(days: Map<number, Set<TrackedEventId>>, day: number, id: TrackedEventId): void {
  const ids = days.get(day);
  if (ids === undefined) days.set(day, new Set([id]));
  else ids.add(id);
}
