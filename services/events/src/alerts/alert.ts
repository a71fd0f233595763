// Defines an alert that a rule fired. Pure.
import type { OrganizationId, ProfileId, TrackedEventId } from "@muster/core";

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
