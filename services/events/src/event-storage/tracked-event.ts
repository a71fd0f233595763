// Declares the tracked event, its id and the equality of events. Pure.
import { hash } from "node:crypto";
import { type OrganizationId, type ProfileId, type TrackedEventId, uuidV7 } from "@muster/core";
import { sameJson } from "../json/json-object.ts";

const DAY_MS = 86_400_000;
/**
 * The last millisecond of the year 9999, the last instant that can be shown. Later instants are stored as this
 * instant.
 */
export const LAST_INSTANT_MS = 253_402_300_799_999;

/** A tracked event as stored. */
export interface TrackedEvent {
  readonly organizationId: OrganizationId;
  readonly id: TrackedEventId;
  /** The profile for which the event was recorded. Never changes. */
  readonly profileId: ProfileId;
  /** The root profile. Equals `profileId` unless that profile was merged. */
  readonly rootId: ProfileId;
  readonly name: string;
  readonly occurredMs: number;
  readonly receivedMs: number;
  /** The client's id of the event, if the client sent one. */
  readonly clientEventId: string | undefined;
  /** A JSON object. */
  readonly properties: string;
}

/** Returns the UTC day of an instant, counted from 1970-01-01; negative before. */
export function dayOf(ms: number): number {
  return Math.floor(ms / DAY_MS);
}

/**
 * Returns the id of an event with client id and client time. Every retry yields the same id, so the primary
 * key deduplicates events. The hash includes the exact time, because UUIDv7 holds only the low 48 bits of the
 * time.
 */
export function datedEventId(
  organizationId: OrganizationId,
  clientEventId: string,
  occurredMs: number,
): TrackedEventId {
  const digest = hash("sha256", `${organizationId}/${occurredMs}/${clientEventId}`, "buffer");
  return uuidV7(occurredMs, digest) as TrackedEventId;
}

/**
 * Whether a sent event has the root profile, name and properties of a stored event with equal id and time.
 */
export function hasSameContent(
  stored: TrackedEvent,
  rootId: ProfileId | undefined,
  sent: { readonly name: string; readonly properties: string },
): boolean {
  return (
    stored.rootId === rootId && stored.name === sent.name && sameJson(stored.properties, sent.properties)
  );
}
