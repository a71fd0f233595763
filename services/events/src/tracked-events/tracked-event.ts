// What a tracked event is, which id it gets, and when two are the same. Pure.
import { hash } from "node:crypto";
import { type OrganizationId, type ProfileId, type TrackedEventId, uuidV7 } from "@muster/core";
import { sameJson } from "./json-object.ts";

const DAY_MS = 86_400_000;

/** A tracked event as stored. */
export interface TrackedEvent {
  readonly organizationId: OrganizationId;
  readonly id: TrackedEventId;
  /** For which it was recorded: for ever. */
  readonly profileId: ProfileId;
  /** The profile that stands for the person: the same, unless that one was merged into another. */
  readonly rootId: ProfileId;
  readonly name: string;
  readonly occurredMs: number;
  readonly receivedMs: number;
  /** The client's id of the event, if it gave one. */
  readonly clientEventId: string | undefined;
  /** A JSON object. */
  readonly properties: string;
}

/** The UTC day an instant lies in, counted from 1970; negative before. */
export function dayOf(ms: number): number {
  return Math.floor(ms / DAY_MS);
}

/**
 * The id of an event to which the client gave both an id and a time: the same for every retry, so that
 * the primary key is the deduplication. The exact time is hashed too, for UUIDv7 holds its low 48 bits
 * only.
 */
export function datedEventId(
  organizationId: OrganizationId,
  clientEventId: string,
  occurredMs: number,
): TrackedEventId {
  const digest = hash("sha256", `${organizationId}/${occurredMs}/${clientEventId}`, "buffer");
  return uuidV7(occurredMs, digest) as TrackedEventId;
}

/** Whether a stored event is what somebody sends again for a person. Its id and time are known to be the same. */
export function hasContent(
  stored: TrackedEvent,
  rootId: ProfileId | undefined,
  sent: { readonly name: string; readonly properties: string },
): boolean {
  return (
    stored.rootId === rootId && stored.name === sent.name && sameJson(stored.properties, sent.properties)
  );
}
