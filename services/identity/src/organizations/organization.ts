// A tenant. Pure.
import { type OrganizationId, timeZoneNamed } from "@muster/core";
import { invalidField } from "@muster/errors";

export interface Organization {
  readonly id: OrganizationId;
  readonly name: string;
  readonly createTimeMs: number;
  /** IANA name: where its calendar days begin. */
  readonly timeZone: string;
  /** Members without a second factor call no method of the organization until they enroll. */
  readonly requiresTwoFactor: boolean;
  /** Active and suspended members. The store of memberships counts. */
  readonly memberCount: number;
  /** When the requested deletion takes effect; undefined without a request. */
  readonly deleteTimeMs: number | undefined;
  /** Grows with every change. */
  readonly version: number;
  readonly updateTimeMs: number;
}

export function createdOrganization({
  id,
  name,
  timeZone,
  createTimeMs,
}: Pick<Organization, "id" | "name" | "timeZone" | "createTimeMs">): Organization {
  const updateTimeMs = createTimeMs;
  const unset = { requiresTwoFactor: false, deleteTimeMs: undefined };
  return { id, name, timeZone, createTimeMs, updateTimeMs, ...unset, memberCount: 0, version: 1 };
}

export const TIME_ZONE_DEFAULT = "UTC";

/** FIELD_INVALID when there is no such zone. */
export function requireTimeZone(text: string, path: string): string {
  const timeZone = timeZoneNamed(text);
  if (timeZone === undefined) throw invalidField(path, 'must be an IANA time zone, such as "Europe/Berlin"');
  return timeZone;
}
