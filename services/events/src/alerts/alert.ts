// Defines an alert that a rule fired. Pure.
import type { OrganizationId, ProfileId, TrackedEventId } from "@muster/core";
import type { TrackedEvent } from "../event-storage/tracked-event.ts";

/** An alert as stored, with the rule code and the event at the time of firing. */
export interface Alert {
  readonly organizationId: OrganizationId;
  /** UUIDv7 of the instant of firing. */
  readonly id: string;
  readonly ruleId: string;
  readonly code: number;
  /** The profile of the event as recorded, before merges. */
  readonly profileId: ProfileId;
  readonly eventId: TrackedEventId;
  readonly eventName: string;
  readonly occurredMs: number;
  readonly firedMs: number;
}

/** An alert with the event that fired it. */
export interface FiredAlert {
  readonly id: string;
  readonly event: TrackedEvent;
  /** The current root profile of the person, in whose shard the alert is published. */
  readonly rootId: ProfileId;
  readonly ruleId: string;
  readonly code: number;
  readonly firedMs: number;
}
